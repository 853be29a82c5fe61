//! What a real Ditto wrote into Kafka.

use std::path::Path;

use bytes::Bytes;
use ditto_protocol::{Limits, Signal, TargetTopic, Written};
use ditto_tests::corpus;
use serde_json::Value;

/// It came out of Ditto's own mapper, so writing it back must give the same message.
#[test]
fn every_record_of_a_real_ditto_decodes_and_is_written_back_equal() -> anyhow::Result<()> {
    let mut topics = std::collections::BTreeMap::<TargetTopic, usize>::new();
    for record in corpus::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/corpus/feed.ndjson")))?
    {
        let signal = Signal::decode(Bytes::from(record.value.clone()), &Limits::default())
            .map_err(|error| anyhow::anyhow!("record {}: {error}", record.n))?;
        let topic =
            signal.target_topic().ok_or_else(|| anyhow::anyhow!("record {} is for no target", record.n))?;
        *topics.entry(topic).or_default() += 1;
        let mut written = Vec::new();
        signal.write(&Written::default(), &mut written);
        let written: Value = serde_json::from_slice(&written)?;
        let received: Value = serde_json::from_str(&record.value)?;
        assert_eq!(written, received, "record {}", record.n);
    }
    assert_eq!(topics.values().sum::<usize>(), 475);
    assert_eq!(topics.len(), 5, "{topics:?}");
    Ok(())
}
