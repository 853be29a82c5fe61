use std::sync::Arc;

use ditto_protocol::Written;
use serde_json::json;

use super::*;
use crate::adaptable::Adaptable;
use crate::engines::Engines;
use crate::mapper::{CompiledMapper, MapperFactory};
use crate::mappings::Mappings;
use crate::options::Options;
use crate::outgoing::Payload;
use crate::tests::{Values, headers, received};

/// Counts what comes, and makes as many messages as its option says.
#[derive(Debug)]
struct Counting;

impl MapperFactory for Counting {
    fn engine(&self) -> &'static str {
        "Counting"
    }

    fn class(&self) -> &'static str {
        "example.Counting"
    }

    fn option_names(&self) -> &'static [&'static str] {
        &["makes"]
    }

    fn default_blocklist(&self) -> &'static [&'static str] {
        &["a/b"]
    }

    fn compile(&self, options: &mut Options<'_>) -> Option<Arc<dyn CompiledMapper>> {
        let makes = options.text("makes").and_then(|text| text.parse().ok());
        if makes.is_none() {
            options.refuse("makes", "it is no number", "write a number");
        }
        Some(Arc::new(Count { makes: makes?, seen: 0 }))
    }
}

#[derive(Debug, Clone)]
struct Count {
    makes: usize,
    seen: usize,
}

impl CompiledMapper for Count {
    fn instance(&self) -> Result<Box<dyn Mapper>, MappingError> {
        Ok(Box::new(self.clone()))
    }
}

impl Mapper for Count {
    fn incoming(&mut self, _: &ExternalMessage) -> Result<Vec<Adaptable>, MappingError> {
        self.seen += 1;
        let path = |n: usize| if n == 7 { "/nowhere".to_owned() } else { format!("/attributes/n{n}") };
        let message = |n: usize| {
            format!(
                r#"{{"topic":"a/b/things/twin/commands/modify","path":"{}","value":{}}}"#,
                path(n),
                self.seen
            )
        };
        Ok((0..self.makes).map(|n| Adaptable::of_text(message(n).into())).collect())
    }

    fn outgoing(
        &mut self,
        _: &OutgoingSignal<'_>,
        messages: &mut Vec<OutgoingMessage>,
    ) -> Result<(), MappingError> {
        self.seen += 1;
        messages.extend(
            (0..self.makes).map(|_| OutgoingMessage::new(Payload::Text(self.seen.to_string().into()))),
        );
        if self.makes == 3 {
            return Err(MappingError::failed("three", "not three"));
        }
        Ok(())
    }
}

fn lists(makes: &[usize]) -> Vec<MapperList> {
    let definitions: serde_json::Map<_, _> = makes
        .iter()
        .map(|n| (format!("m{n}"), json!({ "mappingEngine": "Counting", "options": { "makes": n } })))
        .collect();
    let mappings = Mappings::read(Some(&definitions.into()), &Engines::default().with(Arc::new(Counting)));
    makes.iter().map(|n| mappings.list(&[format!("m{n}")], "").unwrap()).collect()
}

fn sent(lane: &mut LaneMappers, list: &MapperList) -> Vec<String> {
    let event = r#"{"topic":"a/b/things/twin/commands/modify","path":"/attributes/x","status":204}"#;
    let signal = Signal::decode(event.into(), &Limits::default()).unwrap();
    let mut told = Vec::new();
    lane.outgoing(list, &OutgoingSignal::new(&signal, Written::default(), &Values), |id, outcome| {
        told.push(match outcome {
            Outcome::Mapped(message) => {
                assert!(message.is_response());
                format!("{id} {:?}", message.payload())
            }
            Outcome::Dropped(_) => "dropped".to_owned(),
            Outcome::Failed(error) => error.to_string(),
        });
    });
    told
}

#[test]
fn nothing_to_ten_messages_go_out() {
    let lists = lists(&[0, 2, 3, 10, 11]);
    let mut lane = LaneMappers::new(MappingLimits::default());
    assert_eq!(sent(&mut lane, &lists[0]), ["dropped"]);
    assert_eq!(sent(&mut lane, &lists[1]), [r#"m2 Text(b"1")"#; 2]);
    assert_eq!(sent(&mut lane, &lists[3]).len(), 10);
    let refused = "mapper `m11`: it made 11 messages, more than 10; make fewer; none of them goes on (connectivity:message.mapping.failed)";
    assert_eq!(sent(&mut lane, &lists[4]), [refused]);
    // What one that fails has made goes nowhere.
    let failed = "mapper `m3`: three; not three (connectivity:message.mapping.failed)";
    assert_eq!(sent(&mut lane, &lists[2]), [failed]);
    assert_eq!(sent(&mut lane, &lists[0]), ["dropped"]);
    let mut small = LaneMappers::new(MappingLimits { max_bytes: 1, ..MappingLimits::default() });
    assert!(sent(&mut small, &lists[1])[0].contains("has 2 bytes, more than 1"));
}

#[test]
fn a_mapper_is_there_once_for_a_lane_and_keeps_its_state() {
    let lists = lists(&[1, 2]);
    let mut lane = LaneMappers::new(MappingLimits::default());
    let first = |lane: &mut LaneMappers, list: &MapperList| sent(lane, list).swap_remove(0);
    assert_eq!(first(&mut lane, &lists[0]), r#"m1 Text(b"1")"#);
    assert_eq!(first(&mut lane, &lists[0].clone()), r#"m1 Text(b"2")"#);
    assert_eq!(first(&mut lane, &lists[1]), r#"m2 Text(b"1")"#);
    assert_eq!(first(&mut LaneMappers::default(), &lists[0]), r#"m1 Text(b"1")"#);
    lane.clear();
    assert_eq!(first(&mut lane, &lists[0]), r#"m1 Text(b"1")"#);
}

#[test]
fn one_that_is_no_signal_takes_the_others_along() {
    let lists = lists(&[0, 2, 8, 11]);
    let mut lane = LaneMappers::new(MappingLimits::default());
    let message = ExternalMessage::of_text(Vec::new(), "x");
    let mut check = |n: usize, expected: &str| assert_eq!(received(&mut lane, &lists[n], &message), expected);
    check(0, "dropped\n");
    check(
        1,
        "a/b/things/twin/commands/modify /attributes/n0  1\na/b/things/twin/commands/modify /attributes/n1  1\n",
    );
    check(
        2,
        "400 protocoladapter:unknown.path at a/b/things/twin/commands/modify: things have no resource at path `/nowhere`; mend the message, or use another mapper\n",
    );
    check(
        3,
        "400 connectivity:message.mapping.failed: it made 11 messages, more than 10; make fewer; none of them goes on\n",
    );
}

#[test]
fn content_types_are_blocked_as_they_stand() {
    let lists = lists(&[1]);
    let mut lane = LaneMappers::new(MappingLimits::default());
    for (header, is_blocked) in [
        ([("Content-Type", "a/b")], true),
        ([("content-type", "a/b; x=y")], false),
        ([("content-type", "A/B")], false),
        ([("other", "a/b")], false),
    ] {
        let message = ExternalMessage::of_text(headers(&header), "x");
        assert_eq!(received(&mut lane, &lists[0], &message) == "dropped\n", is_blocked, "{header:?}");
    }
}

#[test]
fn headers_have_a_bound() {
    let list = Mappings::read(None, &Engines::default()).list::<&str>(&[], "").unwrap();
    let mut lane = LaneMappers::new(MappingLimits::default());
    let mut check = |length: usize| {
        let text = format!(
            r#"{{"topic":"a/b/things/twin/commands/retrieve","path":"/","headers":{{"x":"{}"}}}}"#,
            "y".repeat(length)
        );
        received(&mut lane, &list, &ExternalMessage::of_text(Vec::new(), text))
            .split(':')
            .next()
            .map(str::to_owned)
    };
    // With `x`, `ditto-entity-id`: `thing:a:b` and `ditto-inbound-payload-mapper`: `default`.
    let others = "xditto-entity-idthing:a:bditto-inbound-payload-mapperdefault".len();
    assert!(
        check(5 * 1024 - others)
            .is_some_and(|text| text.starts_with("a/b/things/twin/commands/retrieve / x=y"))
    );
    assert_eq!(
        check(5 * 1024 - others + 1).as_deref(),
        Some("431 headers.too.large at a/b/things/twin/commands/retrieve")
    );
}
