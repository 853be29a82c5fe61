use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use redb::{Database, ReadableDatabase, TableDefinition};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const CONNECTIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("connections");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

fn key(seed: &str) -> StoreKey {
    let text = match seed {
        "a" => "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "b" => "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=",
        _ => "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA=",
    };
    StoreKey::from_base64(&SecretString::from(text)).unwrap()
}

fn definition(id: &str, name: &str) -> Value {
    json!({
        "id": id, "name": name, "connectionType": "kafka", "connectionStatus": "open",
        "uri": "tcp://user:CANARY-1@kafka:9092",
        "specificConfig": {"bootstrapServers": "kafka:9092", "saslMechanism": "plain"},
        "credentials": {"type": "plain", "username": "u", "password": "CANARY-2"},
        "targets": [{"address": "t", "topics": ["_/_/things/twin/events"], "authorizationContext": ["a:b"],
            "headerMapping": {"authorization": "Bearer CANARY-3"}}],
    })
}

fn record(id: &str, name: &str) -> Record {
    let seconds = |n| SystemTime::UNIX_EPOCH + Duration::from_secs(n);
    let connection = Connection::from_json(&definition(id, name).to_string()).unwrap();
    let connection = Arc::new(connection);
    Record {
        connection,
        revision: 7,
        sequence: 9,
        created: seconds(1_700_000_000),
        modified: seconds(1_800_000_000),
    }
}

fn open(folder: &TempDir) -> EmbeddedStore {
    EmbeddedStore::open(&folder.path().join("store"), StoreKeys::new(key("a"))).unwrap()
}

fn ids(store: &dyn ConnectionStore) -> Vec<String> {
    let loaded = store.load().unwrap();
    loaded.records.iter().map(|it| it.connection.id().to_string()).collect()
}

/// What every store does that has `one` and `two`, named so, and something that is none.
fn reads(store: &dyn ConnectionStore) {
    let loaded = store.load().unwrap();
    let found: Vec<_> =
        loaded.records.iter().map(|it| (it.connection.id().as_str(), it.connection.name())).collect();
    assert_eq!(found, [("one", Some("one")), ("two", Some("two"))]);
    for it in &loaded.records {
        assert_eq!(
            it.connection,
            record(it.connection.id().as_str(), it.connection.id().as_str()).connection
        );
        assert!(it.created <= it.modified);
    }
    let [unreadable] = loaded.unreadable.as_slice() else { panic!("{:?}", loaded.unreadable) };
    assert!(unreadable.name.contains("broken"), "{unreadable:?}");
    assert!(!format!("{loaded:?}").contains("CANARY"), "{loaded:?}");
    assert_eq!(store.load().unwrap().records, loaded.records);
}

#[test]
fn a_folder_is_read_and_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let store = DirectoryStore::new(folder.path());
    write("2.json", definition("two", "two").to_string());
    write("1.json", definition("one", "one").to_string());
    write("broken.json", "{".to_owned());
    reads(&store);
    for error in [
        store.put(&record("three", "three")).unwrap_err(),
        store.delete(&"one".parse().unwrap(), 2).unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::ReadOnly);
    }
    reads(&store);
    // It is read again each time.
    write("3.json", definition("three", "three").to_string());
    assert_eq!(ids(&store), ["one", "two", "three"]);
    let nowhere = DirectoryStore::new(folder.path().join("nowhere"));
    assert_eq!(nowhere.load().unwrap_err().kind(), StoreErrorKind::Nowhere);
}

#[test]
fn a_file_is_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    assert_eq!(ids(&store), [""; 0]);
    store.put(&record("two", "old")).unwrap();
    store.put(&record("two", "two")).unwrap();
    store.put(&record("one", "one")).unwrap();
    store.put(&record("three", "three")).unwrap();
    assert!(store.delete(&"three".parse().unwrap(), 10).unwrap());
    assert!(!store.delete(&"three".parse().unwrap(), 10).unwrap());
    let loaded = store.load().unwrap();
    assert_eq!(loaded.records, [record("one", "one"), record("two", "two")]);
    assert_eq!(loaded.deleted.iter().map(|(id, n)| (id.as_str(), *n)).collect::<Vec<_>>(), [("three", 10)]);
    drop(store);
    change(&folder, |table| drop(table.insert("broken", b"{".as_slice()).unwrap()));
    reads(&open(&folder));
}

/// Changes what is in the file, without the key.
fn change(folder: &TempDir, change: impl FnOnce(&mut redb::Table<'_, &str, &[u8]>)) {
    let database = Database::open(folder.path().join("store")).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&mut transaction.open_table(CONNECTIONS).unwrap());
    transaction.commit().unwrap();
}

fn sealed(folder: &TempDir, id: &str) -> Value {
    let database = Database::open(folder.path().join("store")).unwrap();
    let table = database.begin_read().unwrap().open_table(CONNECTIONS).unwrap();
    serde_json::from_slice(redb::ReadableTable::get(&table, id).unwrap().unwrap().value()).unwrap()
}

#[test]
fn nobody_reads_or_changes_it_without_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.put(&record("one", "one")).unwrap();
    store.put(&record("two", "two")).unwrap();
    drop(store);
    let bytes = std::fs::read(folder.path().join("store")).unwrap();
    for secret in ["CANARY", "Bearer", "AAAAAAAAAAAAAAAA"] {
        assert!(!bytes.windows(secret.len()).any(|it| it == secret.as_bytes()), "{secret}");
    }
    let (one, two) = (sealed(&folder, "one"), sealed(&folder, "two"));
    let mut changed: Vec<Value> =
        ["revision", "sequence", "created", "modified", "key", "nonce", "definition", "format", "id"]
            .map(|name| {
                let mut other = one.clone();
                other[name] = match &one[name] {
                    Value::Number(n) => json!(n.as_u64().unwrap() + 1),
                    text => json!(format!("{}x", text.as_str().unwrap())),
                };
                other
            })
            .to_vec();
    let mut flipped = one.clone();
    let text = one["definition"].as_str().unwrap();
    let first = if text.starts_with('A') { "B" } else { "A" };
    flipped["definition"] = json!(format!("{first}{}", text.split_at(1).1));
    changed.push(flipped);
    let mut other_definition = one.clone();
    other_definition["definition"] = two["definition"].clone();
    changed.push(other_definition);
    let mut added = one.clone();
    added["x"] = json!(1);
    changed.push(added);
    changed.push(two);
    changed.push(json!(5));
    for other in changed {
        let text = other.to_string();
        change(&folder, |table| drop(table.insert("one", text.as_bytes()).unwrap()));
        let loaded = open(&folder).load().unwrap();
        assert_eq!(loaded.records, [record("two", "two")], "{other}");
        assert_eq!(loaded.unreadable.len(), 1);
    }
    change(&folder, |table| drop(table.insert("one", one.to_string().as_bytes()).unwrap()));
    assert_eq!(ids(&open(&folder)), ["one", "two"]);
}

#[test]
fn a_new_key_takes_the_place_of_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    open(&folder).put(&record("one", "one")).unwrap();
    let with = |keys| EmbeddedStore::open(&path, keys).unwrap();

    let loaded = with(StoreKeys::new(key("b"))).load().unwrap();
    assert_eq!(loaded.records, []);
    assert!(loaded.unreadable[0].reason.contains("give it as the old one"), "{loaded:?}");

    assert_eq!(ids(&with(StoreKeys::new(key("b")).with_old(key("a")))), ["one"]);
    // It is sealed again.
    assert_eq!(ids(&with(StoreKeys::new(key("b")))), ["one"]);
    assert_eq!(ids(&with(StoreKeys::new(key("a")))), [""; 0]);
    assert_eq!(ids(&with(StoreKeys::new(key("c")).with_old(key("b")))), ["one"]);
}

#[test]
fn keys_are_32_bytes_and_not_shown() {
    for text in ["", "x", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(StoreKey::from_base64(&SecretString::from(text)).err(), Some(KeyError));
    }
    let shown = format!("{:?}", StoreKeys::new(key("a")));
    assert!(shown.contains("id: ") && !shown.contains("AAAA"), "{shown}");
}

#[test]
fn one_process_has_the_file_and_nobody_else_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let keys = || StoreKeys::new(key("a"));
    let store = open(&folder);
    assert_eq!(EmbeddedStore::open(&path, keys()).unwrap_err().kind(), StoreErrorKind::Unavailable);
    drop(store);

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let error = EmbeddedStore::open(&path, keys()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Permissions);
        assert!(error.to_string().contains("chmod 600"), "{error}");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }

    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert_eq!(EmbeddedStore::open(&path, keys()).unwrap_err().kind(), StoreErrorKind::Format);
    private(&path, b"this is no database, whatever else it may be");
    assert_eq!(EmbeddedStore::open(&path, keys()).unwrap_err().kind(), StoreErrorKind::Unavailable);
}

fn private(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
}

#[derive(Debug, Clone)]
enum Change {
    Put(u8, u8),
    Delete(u8),
    Reopen,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// After any changes, and however often it was closed between them, the file has what was answered.
    #[test]
    fn what_was_answered_is_kept(changes in prop::collection::vec(
        prop_oneof![
            3 => (0..4_u8, any::<u8>()).prop_map(|(id, name)| Change::Put(id, name)),
            1 => (0..4_u8).prop_map(Change::Delete),
            1 => Just(Change::Reopen),
        ],
        0..12,
    )) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(&folder);
        let mut kept = BTreeMap::new();
        for change in changes {
            match change {
                Change::Put(id, name) => {
                    let record = record(&format!("c{id}"), &name.to_string());
                    store.put(&record).unwrap();
                    kept.insert(id, record);
                }
                Change::Delete(id) => {
                    let was_there = store.delete(&format!("c{id}").parse().unwrap(), 10).unwrap();
                    prop_assert_eq!(was_there, kept.remove(&id).is_some());
                }
                Change::Reopen => {
                    drop(store);
                    store = open(&folder);
                }
            }
        }
        let records: Vec<_> = kept.into_values().collect();
        prop_assert_eq!(store.load().unwrap().records, records);
    }
}
