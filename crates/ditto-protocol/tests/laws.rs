//! What holds for any input. The targets in `fuzz/` look for one that breaks it, `crashes/` has those that did.

use std::fmt::Debug;
use std::str::FromStr;

use bytes::Bytes;
use ditto_protocol::{
    AckLabel, Acknowledgement, Acknowledgements, Channel, ConnectionId, DefinitionId, FeatureId, Group,
    HeaderDefinition, Limits, MessageSubject, PolicyId, PolicyLabel, ResourceKey, Segments, Signal,
    SubjectId, TargetTopic, ThingId, TopicPath, Written, attribute_pointer, parse_duration,
};
use serde_json::Value;
use serde_json::value::RawValue;

/// What is decoded is written as JSON that reads back as the same signal, and is then written the same way; internal
/// headers are not in it.
pub(crate) fn decode(data: &[u8]) {
    let Ok(signal) = Signal::decode(Bytes::copy_from_slice(data), &Limits::default()) else { return };
    let once = written(&signal);
    let Some(again) = read_back(&once) else { return };
    assert_eq!(what(&again), what(&signal));
    // Some kinds get one, none loses it.
    assert!(again.value().is_some() || signal.value().is_none());
    for header in again.headers().iter() {
        assert!(header.definition().is_none_or(HeaderDefinition::is_written_outside));
    }
    let is_event_of_thing =
        matches!(signal.target_topic(), Some(TargetTopic::TwinEvents | TargetTopic::LiveEvents));
    if is_event_of_thing {
        assert_eq!(again.value(), signal.value());
        assert_eq!(again.extra(), signal.extra());
        assert_eq!(again.partial_thing(), signal.partial_thing());
    }
    let twice = written(&again);
    assert_eq!(parsed(&twice), parsed(&once));
    // From here on also the order of headers stays.
    assert_eq!(read_back(&twice).map(|signal| written(&signal)), Some(twice));
    acknowledge(&signal);
    if let Ok(untrusted) = Signal::decode_untrusted(Bytes::copy_from_slice(data), &Limits::default()) {
        for header in untrusted.headers().iter() {
            assert!(!header.definition().is_some_and(HeaderDefinition::is_internal));
        }
    }
}

fn written(signal: &Signal) -> Bytes {
    let mut out = Vec::new();
    signal.write(&Written::default(), &mut out);
    assert!(serde_json::from_slice::<&RawValue>(&out).is_ok(), "{}", text(&out));
    out.into()
}

/// What is filled in may be past the limits of the message.
fn read_back(message: &Bytes) -> Option<Signal> {
    let read = Signal::decode(message.clone(), &Limits::new(usize::MAX, usize::MAX));
    assert_eq!(read.as_ref().err(), None, "{}", text(message));
    read.ok()
}

/// A header that is null counts as absent.
fn parsed(message: &[u8]) -> Option<Value> {
    let mut message: Value = serde_json::from_slice(message).ok()?;
    message.get_mut("headers")?.as_object_mut()?.retain(|_, header| !header.is_null());
    Some(message)
}

fn text(message: &[u8]) -> &str {
    std::str::from_utf8(message).unwrap_or_default()
}

fn what(signal: &Signal) -> impl PartialEq + Debug {
    (
        signal.signal_type(),
        signal.category(),
        signal.target_topic(),
        (signal.entity().kind(), signal.entity().to_string(), signal.is_live()),
        (signal.resource_type(), signal.resource_path().into_owned()),
        (signal.feature_id().map(str::to_owned), signal.feature_ids()),
    )
}

fn acknowledge(signal: &Signal) {
    let of_send = Acknowledgement::of_send(signal, "c", "c:label", 204, None);
    let weak = Acknowledgement::weak(signal, "c:label", "not \"for\" it");
    for all in [vec![of_send.clone()], vec![of_send, weak]] {
        let mut out = Vec::new();
        Acknowledgements::of(signal, all).iter().for_each(|all| all.write(&mut out));
        assert!(serde_json::from_slice::<&RawValue>(&out).is_ok(), "{}", text(&out));
    }
}

/// What is printed reads back, and all segments are of the text.
pub(crate) fn topic(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The channel `none` is not printed, also where a thing's topic names it: no signal has such a topic.
    let is_printed = |topic: &TopicPath<'_>| topic.group != Group::Things || topic.channel != Channel::None;
    if let Some(topic) = TopicPath::parse(text).ok().filter(is_printed) {
        assert_eq!(TopicPath::parse(&topic.to_string()), Ok(topic));
    }
    if let Ok(topic) = text.parse::<TargetTopic>() {
        assert_eq!(topic.as_str(), text);
    }
    for segments in [Segments::of_topic(text), Segments::of_path(text)] {
        let joined = segments.clone().collect::<Vec<_>>().join("/");
        assert_eq!(segments.rest().unwrap_or_default().trim_matches('/'), joined.trim_matches('/'));
    }
}

/// What is printed reads back; parts are parts of the text, and names have no slash.
pub(crate) fn ids(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(id) = printed::<ThingId>(text) {
        assert_eq!(format!("{}:{}", id.namespace(), id.name()), text);
        assert!(!id.name().is_empty() && !text.contains('/'));
    }
    assert_eq!(text.parse::<ThingId>().is_ok(), text.parse::<PolicyId>().is_ok());
    printed::<PolicyId>(text);
    printed::<ConnectionId>(text);
    printed::<FeatureId>(text);
    printed::<AckLabel>(text);
    printed::<PolicyLabel>(text);
    printed::<DefinitionId>(text);
    printed::<MessageSubject>(text);
    if let Ok(id) = text.parse::<SubjectId>()
        && !id.issuer().is_empty()
    {
        assert_eq!(format!("{}:{}", id.issuer(), id.subject()), text);
    }
    if let Ok(key) = text.parse::<ResourceKey>() {
        assert_eq!(format!("{}:{}", key.kind(), key.path()).parse(), Ok(key));
    }
    if let Ok(pointer) = attribute_pointer(text) {
        assert_eq!(attribute_pointer(&pointer.to_string()), Ok(pointer));
    }
    if let Some(duration) = parse_duration(text) {
        assert_eq!(parse_duration(&format!("{}ms", duration.as_millis())), Some(duration));
    }
}

/// The id that `text` is, if it is one; then it is exactly that text.
fn printed<I: FromStr + ToString>(text: &str) -> Option<I> {
    let id: I = text.parse().ok()?;
    assert_eq!(id.to_string(), text);
    Some(id)
}
