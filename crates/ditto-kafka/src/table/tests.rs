use std::collections::BTreeMap;

use super::*;
use crate::settings::{Bounds, ProducerSettings};
use crate::{ClientErrorKind, EmbeddedCluster, ProducerPool, Publisher, Record, Token};

const LIMIT: Duration = Duration::from_secs(30);

fn write(publisher: &mut Publisher, key: &str, value: Option<&str>) {
    let record = Record::to("things").key(key.as_bytes());
    let record = match value {
        Some(value) => record.payload(value.as_bytes()),
        None => record,
    };
    publisher.enqueue(record, Token(0)).unwrap();
}

/// Reads up to the ends that there are now.
fn catch_up(reader: &mut TableReader, table: &mut BTreeMap<String, String>, wanted: usize) {
    let deadline = Instant::now() + LIMIT;
    let mut read = 0;
    while read < wanted {
        assert!(Instant::now() < deadline, "{read} of {wanted}");
        let ends = reader.ends().unwrap();
        while !reader.has_read(&ends) {
            assert!(Instant::now() < deadline, "{read} of {wanted}");
            let Some(record) = reader.next(Duration::from_millis(50)).unwrap() else { continue };
            let key = String::from_utf8(record.key.to_vec()).unwrap();
            match record.value {
                Some(value) => drop(table.insert(key, String::from_utf8(value.to_vec()).unwrap())),
                None => drop(table.remove(&key)),
            }
            read += 1;
        }
    }
}

#[test]
fn what_was_written_before_the_ends_were_asked_for_is_read() {
    let cluster = EmbeddedCluster::new(1).unwrap();
    cluster.create_topic("things", 3).unwrap();
    let pool = ProducerPool::new();
    let settings = ProducerSettings::new(cluster.settings(), "test");
    let mut publisher = pool.publisher(&settings, Bounds::default()).unwrap();
    let mut reader = TableReader::open(&cluster.settings(), &["things".to_owned()]).unwrap();
    let mut table = BTreeMap::new();

    let ends = reader.ends().unwrap();
    assert!(reader.has_read(&ends), "an empty topic has been read");
    for n in 0..20 {
        write(&mut publisher, &format!("k{n}"), Some("1"));
    }
    write(&mut publisher, "k0", Some("2"));
    write(&mut publisher, "k1", None);
    catch_up(&mut reader, &mut table, 22);
    assert_eq!((table.len(), table["k0"].as_str()), (19, "2"));
    write(&mut publisher, "k0", None);
    catch_up(&mut reader, &mut table, 1);
    assert_eq!(table.len(), 18);

    let mut second = TableReader::open(&cluster.settings(), &["things".to_owned()]).unwrap();
    let ends = second.ends().unwrap();
    assert!(!second.has_read(&ends));
    let mut again = BTreeMap::new();
    catch_up(&mut second, &mut again, 23);
    assert_eq!(again, table);
}

#[test]
fn a_cluster_that_is_away_is_an_error_and_comes_back() {
    let cluster = EmbeddedCluster::new(1).unwrap();
    cluster.create_topic("things", 1).unwrap();
    let mut reader = TableReader::open(&cluster.settings(), &["things".to_owned()]).unwrap();
    cluster.broker_down(None).unwrap();
    let error = reader.ends().unwrap_err();
    assert_ne!(error.kind(), ClientErrorKind::Truncated);
    cluster.broker_up(None).unwrap();
    let deadline = Instant::now() + LIMIT;
    while reader.ends().is_err() {
        assert!(Instant::now() < deadline);
    }
}
