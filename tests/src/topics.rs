//! Topics of the broker: made, filled and read.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use futures_util::FutureExt;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::broker::Broker;
use crate::secrets;

/// A record as Kafka's console consumer prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Consumed {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Names and values, in the order of the record.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Key; `None` if it has none.
    pub key: Option<Vec<u8>>,
    /// Value; `None` for a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Consumed {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|it| (it.key.to_owned(), it.value.unwrap_or_default().to_vec())).collect()
        });
        Self {
            partition: message.partition(),
            offset: message.offset(),
            headers,
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
        }
    }

    fn ensure_no_secret(&self) -> anyhow::Result<()> {
        let of_headers = self.headers.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_slice()]);
        let all = of_headers.chain(self.key.as_deref()).chain(self.value.as_deref());
        all.into_iter().try_for_each(|bytes| secrets::ensure_none_in("a record", bytes))
    }

    /// The text of a header; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    }

    /// The key as text; empty if there is none.
    #[must_use]
    pub fn key_text(&self) -> String {
        String::from_utf8_lossy(self.key.as_deref().unwrap_or_default()).into_owned()
    }

    /// The value as text; empty if there is none.
    #[must_use]
    pub fn value_text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }
}

/// A record to write.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Names and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Value; `None` writes a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Written {
    /// A record with this value and nothing else.
    #[must_use]
    pub fn of(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }
}

/// Reads what comes to a topic from now on, as soon as it is there.
pub struct Follower(BaseConsumer);

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}

impl Follower {
    /// The next record, once it is there.
    ///
    /// # Errors
    /// None comes within half a minute.
    pub fn next(&self) -> anyhow::Result<Consumed> {
        Ok(Consumed::of(&self.0.poll(TIMEOUT).context("no record comes")??))
    }
}

const TIMEOUT: Duration = Duration::from_secs(30);

/// What the console consumer puts between the parts of a record, the headers, the records, and for null.
const PART: char = '\u{1f}';
const HEADER: char = '\u{1d}';
const RECORD: char = '\u{1e}';
const NULL: char = '\u{1c}';

impl Broker {
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.listeners.plaintext);
        config
    }

    /// Makes a topic and waits until it has leaders.
    ///
    /// # Errors
    /// If it exists, or the broker does not answer.
    pub fn create_topic(
        &self,
        topic: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for (name, value) in settings {
            new = new.set(name, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        let results = wait(admin.create_topics([&new], &options))?;
        for result in results {
            result.map_err(|(topic, code)| anyhow!("topic {topic} not made: {code}"))?;
        }
        Ok(())
    }

    /// Removes a topic with its records.
    ///
    /// # Errors
    /// If it does not exist, or the broker does not answer.
    pub fn delete_topic(&self, topic: &str) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        for result in wait(admin.delete_topics(&[topic], &options))? {
            result.map_err(|(topic, code)| anyhow!("topic {topic} not removed: {code}"))?;
        }
        Ok(())
    }

    /// Deletes the records of a partition below an offset, as retention does.
    ///
    /// # Errors
    /// The broker refuses, or does not answer.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before))?;
        for element in wait(admin.delete_records(&list, &options))?.elements() {
            element.error()?;
        }
        Ok(())
    }

    /// Writes records; those of one key keep their order.
    ///
    /// # Errors
    /// One of them is not acknowledged.
    pub fn write(&self, topic: &str, records: impl IntoIterator<Item = Written>) -> anyhow::Result<()> {
        let mut config = self.client();
        config.set("enable.idempotence", "true").set("message.max.bytes", (64 << 20).to_string());
        config.set("partitioner", "murmur2_random").set("queue.buffering.max.kbytes", "262144");
        let producer: BaseProducer = config.create()?;
        for record in records {
            let mut headers = OwnedHeaders::new();
            for (key, value) in &record.headers {
                headers = headers.insert(Header { key, value: Some(value) });
            }
            let mut next = BaseRecord::<[u8], [u8]>::to(topic).headers(headers);
            next.key = record.key.as_deref();
            next.payload = record.value.as_deref();
            while let Err((error, back)) = producer.send(next) {
                let is_full = error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::QueueFull);
                ensure!(is_full, "record not written: {error}");
                producer.poll(Duration::from_millis(10));
                next = back;
            }
            producer.poll(Duration::ZERO);
        }
        producer.flush(TIMEOUT).context("records not written")?;
        Ok(())
    }

    /// How many records a topic holds.
    ///
    /// # Errors
    /// It does not exist, or the broker does not answer.
    pub fn count(&self, topic: &str) -> anyhow::Result<usize> {
        count(&self.client().create()?, topic)
    }

    /// How many records each of some topics holds.
    ///
    /// # Errors
    /// One does not exist, or the broker does not answer.
    pub fn counts(&self, topics: &[String]) -> anyhow::Result<Vec<usize>> {
        let consumer = self.client().create()?;
        topics.iter().map(|topic| count(&consumer, topic)).collect()
    }

    /// Waits until a topic holds that many records.
    ///
    /// # Errors
    /// It does not within a minute.
    pub fn wait_for(&self, topic: &str, records: usize) -> anyhow::Result<()> {
        let start = std::time::Instant::now();
        loop {
            let count = self.count(topic)?;
            if count >= records {
                return Ok(());
            }
            ensure!(start.elapsed() < 2 * TIMEOUT, "{topic} has {count} records, {records} were waited for");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How many records of a topic lie behind what a group has committed.
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn lag(&self, topic: &str, group: &str) -> anyhow::Result<i64> {
        let consumer: BaseConsumer = self.client().create()?;
        let mut lag = 0;
        for (partition, offset) in self.committed(topic, group)?.into_iter().enumerate() {
            let (low, high) = consumer.fetch_watermarks(topic, i32::try_from(partition)?, TIMEOUT)?;
            lag += high - offset.unwrap_or(low);
        }
        Ok(lag)
    }

    /// What a group has committed of each partition of a topic.
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn committed(&self, topic: &str, group: &str) -> anyhow::Result<Vec<Option<i64>>> {
        let consumer: BaseConsumer = self.client().set("group.id", group).create()?;
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
        let partitions = metadata.topics().first().context("no metadata of the topic")?.partitions().len();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, i32::try_from(partitions)? - 1);
        let committed = consumer.committed_offsets(list, TIMEOUT)?;
        let offsets = committed.elements().into_iter().map(|it| it.offset().to_raw().filter(|it| *it >= 0));
        Ok(offsets.collect())
    }

    /// How many brokers answer for the cluster.
    ///
    /// # Errors
    /// None does.
    pub fn count_brokers(&self) -> anyhow::Result<usize> {
        let consumer: BaseConsumer = self.client().create()?;
        let brokers = consumer.fetch_metadata(None, Duration::from_secs(5))?.brokers().len();
        ensure!(brokers > 0, "the cluster has no broker");
        Ok(brokers)
    }

    /// Everything a topic holds, by assignment: as [`Self::consume`], and quicker with many records.
    ///
    /// # Errors
    /// The broker does not answer, or not with everything; or a marked secret is in it.
    pub fn contents(&self, topic: &str) -> anyhow::Result<Vec<Consumed>> {
        let count = self.count(topic)?;
        let consumer: BaseConsumer =
            self.client().set("group.id", "nobody").set("enable.auto.commit", "false").create()?;
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        let mut consumed = Vec::with_capacity(count);
        while consumed.len() < count {
            let message =
                consumer.poll(TIMEOUT).with_context(|| format!("{topic} has more than it gives"))??;
            consumed.push(Consumed::of(&message));
        }
        consumed.iter().try_for_each(Consumed::ensure_no_secret)?;
        consumed.sort_by_key(|record| (record.partition, record.offset));
        Ok(consumed)
    }

    /// Follows a topic from its end.
    ///
    /// # Errors
    /// It does not exist, or the broker does not answer.
    pub fn follow(&self, topic: &str) -> anyhow::Result<Follower> {
        let consumer: BaseConsumer =
            self.client().set("group.id", "nobody").set("fetch.wait.max.ms", "10").create()?;
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            let (_, high) = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT)?;
            list.add_partition_offset(topic, partition.id(), Offset::Offset(high))?;
        }
        consumer.assign(&list)?;
        Ok(Follower(consumer))
    }

    /// Everything a topic holds, read by Kafka's own console consumer: partition by partition, in the order of offsets.
    ///
    /// # Errors
    /// The consumer fails, or prints what cannot be understood; or a marked secret is in it.
    pub fn consume(&self, topic: &str) -> anyhow::Result<Vec<Consumed>> {
        let count = self.count(topic)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut command = self.tool("org.apache.kafka.tools.consumer.ConsoleConsumer");
        command.args(["--bootstrap-server", &self.listeners.plaintext, "--topic", topic, "--from-beginning"]);
        command.args(["--max-messages", &count.to_string(), "--timeout-ms", "30000"]);
        for property in [
            "print.partition=true".to_owned(),
            "print.offset=true".to_owned(),
            "print.headers=true".to_owned(),
            "print.key=true".to_owned(),
            format!("key.separator={PART}"),
            format!("headers.separator={HEADER}"),
            format!("line.separator={RECORD}"),
            format!("null.literal={NULL}"),
        ] {
            command.args(["--property", &property]);
        }
        let output = command.stdin(Stdio::null()).output().context("cannot run the console consumer")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the console consumer failed: {said}");
        let records = output.stdout.split(|byte| char::from(*byte) == RECORD);
        let mut consumed = records
            .filter(|record| !record.is_empty())
            .map(|record| read(record).with_context(|| String::from_utf8_lossy(record).into_owned()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(
            consumed.len() == count,
            "{topic} has {count} records, the console consumer read {}: {said}",
            consumed.len()
        );
        consumed.iter().try_for_each(Consumed::ensure_no_secret)?;
        consumed.sort_by_key(|record| (record.partition, record.offset));
        Ok(consumed)
    }
}

fn count(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<usize> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let found = metadata.topics().first().context("no metadata of the topic")?;
    ensure!(found.error().is_none(), "topic {topic}: {:?}", found.error());
    let mut count = 0;
    for partition in found.partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT)?;
        count += high - low;
    }
    Ok(usize::try_from(count)?)
}

/// The admin client has its own thread; rdkafka needs a reactor for none of this.
fn wait<T>(future: impl Future<Output = Result<T, rdkafka::error::KafkaError>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future.boxed_local())?)
}

/// `Partition:0 Offset:7 name:value,… key value`, or `NO_HEADERS`.
fn read(record: &[u8]) -> anyhow::Result<Consumed> {
    let parts: Vec<&[u8]> = record.split(|byte| char::from(*byte) == PART).collect();
    let [partition, offset, headers, key, value] = parts.as_slice() else {
        anyhow::bail!("{} parts", parts.len())
    };
    let number = |part: &[u8], name: &str| -> anyhow::Result<i64> {
        let text = std::str::from_utf8(part)?;
        Ok(text.strip_prefix(name).context("no number")?.parse()?)
    };
    let or_null = |part: &[u8]| (part != NULL.to_string().as_bytes()).then(|| part.to_vec());
    let header = |part: &[u8]| -> anyhow::Result<(String, Vec<u8>)> {
        let colon = part.iter().position(|byte| *byte == b':').context("a header without colon")?;
        let (name, value) = part.split_at(colon);
        Ok((String::from_utf8(name.to_vec())?, value.strip_prefix(b":").unwrap_or_default().to_vec()))
    };
    let headers = match *headers {
        b"NO_HEADERS" => Vec::new(),
        headers => {
            headers.split(|byte| char::from(*byte) == HEADER).map(header).collect::<anyhow::Result<_>>()?
        }
    };
    Ok(Consumed {
        partition: i32::try_from(number(partition, "Partition:")?)?,
        offset: number(offset, "Offset:")?,
        headers,
        key: or_null(key),
        value: or_null(value),
    })
}
