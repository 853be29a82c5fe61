//! A sample fleet of twins: its signals, and what is due of each.
//!
//! What is due is written down here from the definitions by hand, not computed by the code that publishes.

use serde_json::{Value, json};

/// The namespace of the sample things.
const NAMESPACE: &str = "org.eclipse.ditto.sample";
/// The subject of the reference's example connection.
const EXAMPLE: &str = "ditto:outbound-auth-subject";
/// The subject of the connection `quickstart-devices`.
const FLEET: &str = "quickstart:fleet";
/// The subject of the connection `quickstart-alarms`.
const OPERATOR: &str = "quickstart:operator";

/// A signal for the feed, and the records that must come of it.
#[derive(Debug, Clone)]
pub(super) struct SampleSignal {
    /// The thing's id, the key in the feed.
    pub(super) thing: String,
    /// The message.
    pub(super) text: String,
    /// Record headers: who may read.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The records.
    pub(super) due: Vec<Due>,
}

/// A record that must come.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Due {
    pub(super) topic: &'static str,
    pub(super) key: Option<String>,
    pub(super) partition: Option<i32>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) value: Value,
}

/// Makes signals, the same ones each time.
#[derive(Debug)]
pub(super) struct Fleet {
    revisions: Vec<u64>,
    next: u64,
}

impl Fleet {
    pub(super) fn new(things: u32) -> Self {
        Self { revisions: vec![0; things as usize], next: 0 }
    }

    /// The next signal. Of 20: 15 events, 2 alarms, 1 event that may be read in part only, 1 that nobody here may read,
    /// 1 that is no Ditto Protocol.
    pub(super) fn next_signal(&mut self) -> SampleSignal {
        let n = self.next;
        self.next += 1;
        let place = usize::try_from(n).unwrap_or_default() % self.revisions.len();
        let revision = match self.revisions.get_mut(place) {
            Some(revision) => {
                *revision += 1;
                *revision
            }
            None => 1,
        };
        let sample = Sample { n, name: format!("vehicle-{place:02}"), revision };
        match n % 20 {
            3 | 13 => sample.alarm(),
            7 => sample.restricted(),
            11 => sample.for_others(),
            17 => sample.garbage(),
            _ => sample.event(),
        }
    }
}

struct Sample {
    n: u64,
    name: String,
    revision: u64,
}

impl Sample {
    fn thing(&self) -> String {
        format!("{NAMESPACE}:{}", self.name)
    }

    fn signal(&self, message: &Value, headers: Vec<(&'static str, String)>, due: Vec<Due>) -> SampleSignal {
        SampleSignal { thing: self.thing(), text: message.to_string(), headers, due }
    }

    fn event_message(&self) -> Value {
        let (path, value) = match self.n % 3 {
            0 => ("/features/engine/properties/rpm", json!(900 + self.n * 37 % 2_400)),
            1 => {
                let (latitude, longitude) = (47.5 + self.n as f64 / 1_000.0, 9.5 - self.n as f64 / 2_000.0);
                ("/attributes/location", json!({"lat": latitude, "lon": longitude}))
            }
            _ => ("/features/tank/properties", json!({"level": self.n * 13 % 100, "unit": "%"})),
        };
        json!({
            "topic": format!("{NAMESPACE}/{}/things/twin/events/modified", self.name),
            "headers": {"correlation-id": format!("sample-{}", self.n)},
            "path": path, "value": value, "revision": self.revision,
        })
    }

    fn event(&self) -> SampleSignal {
        let message = self.event_message();
        let written = Self::written(&message, self.revision);
        let mut due = vec![Due {
            topic: "topic",
            key: Some("key".to_owned()),
            partition: None,
            headers: self.record_headers("kafka-example-connection-123", &[]),
            value: written.clone(),
        }];
        due.extend(self.due_to_fleet(&written));
        self.signal(&message, vec![("ditto-read-subjects", json!([EXAMPLE, FLEET]).to_string())], due)
    }

    /// An event as it is written outside.
    fn written(message: &Value, revision: u64) -> Value {
        let mut value = message.clone();
        if let Some(headers) = value.get_mut("headers").and_then(Value::as_object_mut) {
            headers.insert("response-required".into(), false.into());
            headers.insert("entity-revision".into(), revision.into());
            headers.insert("content-type".into(), "application/json".into());
        }
        value
    }

    fn due_to_fleet(&self, written: &Value) -> [Due; 2] {
        let record = |topic, key, more: &[(&'static str, String)]| Due {
            topic,
            key,
            partition: None,
            headers: self.record_headers("quickstart-devices", more),
            value: written.clone(),
        };
        let mapped = [("thing", self.name.clone()), ("source", "quickstart".to_owned())];
        [record("devices", Some(self.thing()), &mapped), record("telemetry", None, &[])]
    }

    fn alarm(&self) -> SampleSignal {
        let topic = format!("{NAMESPACE}/{}/things/live/messages/overheated", self.name);
        let message = json!({
            "topic": topic,
            "headers": {"correlation-id": format!("sample-{}", self.n), "content-type": "application/json"},
            "path": "/outbox/messages/overheated",
            "value": {"celsius": 95 + self.n % 20},
        });
        let mut value = message.clone();
        if let Some(headers) = value.get_mut("headers").and_then(Value::as_object_mut) {
            headers.insert("channel".into(), "live".into());
            headers.insert("ditto-message-thing-id".into(), self.thing().into());
            headers.insert("ditto-message-subject".into(), "overheated".into());
            headers.insert("ditto-message-direction".into(), "FROM".into());
        }
        let due = vec![
            Due {
                topic: "topic",
                key: Some("key".to_owned()),
                partition: None,
                headers: self.record_headers("kafka-example-connection-123", &[]),
                value: value.clone(),
            },
            Due {
                topic: "alarms",
                key: None,
                partition: Some(1),
                headers: self.record_headers("quickstart-alarms", &[]),
                value,
            },
        ];
        self.signal(&message, vec![("ditto-read-subjects", json!([EXAMPLE, OPERATOR]).to_string())], due)
    }

    /// The fleet's subject may read the latitude of things and nothing else: it gets that, or nothing.
    fn restricted(&self) -> SampleSignal {
        let paths = json!({"subjects": [FLEET], "paths": {"attributes/location/lat": [0]}});
        let headers = vec![
            ("ditto-read-subjects", json!([FLEET]).to_string()),
            ("ditto-partial-access-paths", paths.to_string()),
        ];
        let message = self.event_message();
        let mut written = Self::written(&message, self.revision);
        let location = written.get_mut("value").and_then(Value::as_object_mut);
        let has_latitude = location.is_some_and(|location| location.remove("lon").is_some());
        let due = if has_latitude { self.due_to_fleet(&written).into() } else { Vec::new() };
        self.signal(&message, headers, due)
    }

    /// No connection here may read it.
    fn for_others(&self) -> SampleSignal {
        let headers = vec![("ditto-read-subjects", json!(["quickstart:owner"]).to_string())];
        self.signal(&self.event_message(), headers, Vec::new())
    }

    fn garbage(&self) -> SampleSignal {
        self.signal(&json!({"speed": self.n, "note": "not Ditto Protocol"}), Vec::new(), Vec::new())
    }

    fn record_headers(
        &self,
        connection: &str,
        more: &[(&'static str, String)],
    ) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "application/vnd.eclipse.ditto+json".to_owned()),
            ("correlation-id", format!("sample-{}", self.n)),
        ];
        headers.extend_from_slice(more);
        headers.push(("ditto-connection-id", connection.to_owned()));
        headers
    }
}
