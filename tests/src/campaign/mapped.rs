//! Signals of mixed kinds, and four targets that filter, enrich and map them: what must come out, from outbound.md §2 to §4,
//! mapping.md §5 and §6, policies.md §5 to §7, protocol.md §8 and rql.md.

mod draft;
mod node;

use std::fs;

use anyhow::Context;
use serde_json::{Map, Value, json};

use self::draft::{AUDITOR, Draft, Kind, LABEL, PARTS, Reach, has_policy_of_parts, policy_id, site};
use self::node::Node;
use super::driver::THINGS;
use super::work::{CONNECTION, Due, Fate, Letter, Payload, READER, Signal, Work};
use crate::service::Setup;
use crate::topics::{Consumed, Written};

/// Four targets of one connection.
#[derive(Debug)]
pub(super) struct Mapped {
    pub(super) seed: u64,
}

/// What a script makes of all kinds.
const SCRIPTED: usize = 0;
/// What a filter lets pass.
const FILTERED: usize = 1;
/// What has extra fields, and a filter on them.
const ENRICHED: usize = 2;
/// CloudEvents, for a reader and an auditor.
const CLOUD: usize = 3;

/// Of twin events; live events have its first part.
const FILTER: &str = "or(gt(attributes/open/level,400),eq(attributes/open/label,\"Ünï ☃ 東京 😀\"),\
                      and(eq(topic:action,\"created\"),eq(features/lamp/properties/on,true)))";
const EXTRA_FILTER: &str = "or(eq(attributes/site,\"nörd\"),lt(attributes/floor,10))";

const SCRIPT: &str = r"
function mapFromDittoProtocolMsg(namespace, name, group, channel, criterion, action, path, dittoHeaders, value, status, extra) {
  const order = dittoHeaders['campaign-do'];
  if (order === 'throw') {
    throw new Error('told to');
  }
  if (order === 'null') {
    return null;
  }
  const make = part => Ditto.buildExternalMsg(
    { 'correlation-id': dittoHeaders['correlation-id'], part: part, what: channel + ' ☃' },
    JSON.stringify({
      id: namespace + ':' + name,
      what: [group, channel, criterion, action].join('.'),
      part: part,
      path: path,
      value: value === undefined ? 'none' : value,
      length: path.length,
    }),
    null,
    'application/vnd.campaign+json');
  return order === 'two' ? [make(0), make(1)] : make(0);
}";

impl Work for Mapped {
    fn targets(&self) -> &'static [&'static str] {
        &["scripted", "filtered", "enriched", "cloud"]
    }

    fn define(&self, name: &str, definition: &mut Value) {
        definition["targets"] = json!([
            {
                "address": format!("{name}-scripted/{{{{ thing:name }}}}"),
                "topics": [
                    "_/_/things/twin/events", "_/_/things/live/events", "_/_/things/live/messages",
                    "_/_/things/live/commands",
                ],
                "payloadMapping": ["script"], "authorizationContext": [READER],
            },
            {
                "address": format!("{name}-filtered/{{{{ thing:id }}}}"),
                "topics": [
                    format!("_/_/things/twin/events?filter={FILTER}"),
                    "_/_/things/live/events?filter=gt(attributes/open/level,400)",
                    "_/_/things/live/messages?filter=eq(topic:subject,'ask')",
                ],
                "authorizationContext": [READER],
            },
            {
                "address": format!("{name}-enriched/{{{{ thing:id }}}}"),
                "topics": [
                    format!("_/_/things/twin/events?extraFields=attributes/site,attributes/floor&filter={EXTRA_FILTER}"),
                    "_/_/things/live/messages?extraFields=attributes/site&filter=ne(attributes/site,'söuth')",
                ],
                "authorizationContext": [READER],
            },
            {
                "address": format!("{name}-cloud/{{{{ header:campaign-key }}}}"),
                "topics": ["_/_/things/twin/events", "_/_/things/live/events", "_/_/things/live/commands"],
                "payloadMapping": ["CloudEvents"], "authorizationContext": [READER, AUDITOR],
                "headerMapping": {
                    "correlation-id": "{{ header:correlation-id }}",
                    "thing": "{{ thing:namespace }}/{{ thing:name }}",
                    "what": "{{ topic:criterion }}.{{ topic:action | fn:upper() }}",
                    "label": "{{ thing-json:attributes/open/label | fn:default('none') }}",
                    "trace": "{{ header:campaign-trace }}",
                },
            },
        ]);
        definition["mappingDefinitions"] = json!({"script": {
            "mappingEngine": "JavaScript", "options": {"outgoingScript": SCRIPT},
            "outgoingConditions": {"is on": "fn:filter(header:campaign-script,'ne','off')"},
        }});
    }

    /// Things that never change, and two policies.
    fn furnish(&self, setup: &Setup) -> anyhow::Result<String> {
        for folder in ["directory/things", "directory/policies"] {
            fs::create_dir_all(setup.path(folder)).with_context(|| format!("cannot make {folder}"))?;
        }
        for index in 0..THINGS {
            let id = Signal { thing: index, revision: 0 }.thing_id();
            let thing = json!({
                "thingId": id, "policyId": policy_id(index),
                "attributes": {"site": site(index), "floor": index, "open": {"level": 1}},
            });
            setup.write(&format!("directory/things/{id}.json"), thing.to_string())?;
        }
        let grant = || json!({"grant": ["READ"], "revoke": []});
        let parts: Map<String, Value> = PARTS.iter().map(|path| (format!("thing:{path}"), grant())).collect();
        let mut parts = Value::Object(parts);
        parts["message:/inbox"] = grant();
        let policies = [
            ("org.campaign:full", json!({"thing:/": grant(), "message:/": grant()})),
            ("org.campaign:parts", parts),
        ];
        for (id, resources) in policies {
            let entry = json!({"subjects": {READER: {"type": "campaign"}}, "resources": resources});
            let policy = json!({"policyId": id, "entries": {"readers": entry}});
            setup.write(&format!("directory/policies/{id}.json"), policy.to_string())?;
        }
        Ok("[directory]\nkind = \"files\"\npath = \"directory\"\n".to_owned())
    }

    fn record(&self, signal: Signal) -> Written {
        Draft::of(self.seed, signal).record()
    }

    fn fate(&self, target: usize, signal: Signal) -> Fate {
        let draft = Draft::of(self.seed, signal);
        match Seen::by(&draft, target) {
            Ok(seen) => fate_of(&draft, &seen, target),
            Err(fate) => fate,
        }
    }

    fn letters(&self, signal: Signal) -> Option<Vec<Letter>> {
        let draft = Draft::of(self.seed, signal);
        let letter = |target| {
            let seen = Seen::by(&draft, target).ok()?;
            let Fate::Failed(reason) = fate_of(&draft, &seen, target) else { return None };
            let (value, verbatim) = seen.protocol(&draft, None);
            let verbatim = verbatim.map(|text| (vec!["value"], text)).into_iter().collect();
            Some(Letter { target, reason, payload: Payload::Json { value, verbatim, now: None } })
        };
        Some((0..self.targets().len()).filter_map(letter).collect())
    }

    fn part(&self, record: &Consumed) -> usize {
        record.header("part").parse().unwrap_or_default()
    }

    fn spreads(&self, _: usize) -> bool {
        false
    }

    fn records_of_a_signal(&self, target: usize) -> usize {
        if target == SCRIPTED { 2 } else { 1 }
    }
}

/// What a target sees of a signal.
#[derive(Debug)]
struct Seen {
    value: Option<Node>,
    /// Then it is byte for byte as it came.
    is_whole: bool,
}

fn fate_of(draft: &Draft, seen: &Seen, target: usize) -> Fate {
    match target {
        SCRIPTED => scripted(draft, seen),
        FILTERED => filtered(draft, seen),
        ENRICHED => enriched(draft, seen),
        _ => cloud_event(draft, seen),
    }
}

impl Seen {
    /// What a target sees, or what becomes of a signal of which it sees nothing.
    fn by(draft: &Draft, target: usize) -> Result<Self, Fate> {
        let is_subscribed = match draft.kind {
            Kind::TwinEvent => true,
            Kind::LiveEvent => target != ENRICHED,
            Kind::LiveMessage => target != CLOUD,
            Kind::LiveCommand => target == SCRIPTED || target == CLOUD,
        };
        if !is_subscribed {
            return Err(Fate::Unselected);
        }
        match draft.reach(target == CLOUD) {
            Reach::Nothing => Err(Fate::Unselected),
            Reach::All => Ok(Self { value: draft.value.clone(), is_whole: true }),
            Reach::Parts => Self::parts(draft).ok_or(Fate::Dropped("restricted")),
        }
    }

    /// What a reader of parts sees: `None` if that is nothing (ADR 19).
    fn parts(draft: &Draft) -> Option<Self> {
        match &draft.value {
            Some(value) => {
                let cut = value.cut(&draft.path, &PARTS)?;
                Some(Self { is_whole: cut == *value, value: Some(cut) })
            }
            // A deletion of more than it may read: Ditto gives it an empty object.
            None if draft.path == "/" => Some(Self { value: Some(Node::Object(vec![])), is_whole: false }),
            None => None,
        }
    }

    /// The thing, as far as an event tells (protocol.md §8).
    fn thing(&self, draft: &Draft) -> Value {
        let shown = match &self.value {
            Some(value) if draft.is_event() && draft.action != "deleted" => value.value(),
            _ => return json!({}),
        };
        let names = draft.path.split('/').filter(|name| !name.is_empty());
        let thing = names.rev().fold(shown, |value, name| json!({ name: value }));
        if draft.action == "merged" { without_nulls(thing) } else { thing }
    }

    /// The message of the Ditto Protocol (outbound.md §4.1), with what stands in it as it came.
    fn protocol(&self, draft: &Draft, extra: Option<Value>) -> (Value, Option<String>) {
        let mut headers = draft.headers();
        let mut put = |name: &str, value: Value| drop(headers.insert(name.to_owned(), value));
        if draft.is_event() {
            put("response-required", false.into());
            put("entity-revision", draft.signal.revision.into());
        }
        if draft.kind != Kind::TwinEvent {
            put("channel", "live".into());
        }
        if draft.kind == Kind::LiveMessage {
            put("ditto-message-thing-id", draft.signal.thing_id().into());
            put("ditto-message-subject", draft.action.into());
            let is_inbox = draft.path.starts_with("/inbox");
            put("ditto-message-direction", if is_inbox { "TO" } else { "FROM" }.into());
            if !is_inbox {
                put("ditto-message-feature-id", "lamp".into());
            }
        }
        // What is left of a deletion has no type: corpus, connection `partial`.
        if self.value.is_some() && draft.content_type.is_none() && draft.action != "deleted" {
            put("content-type", "application/json".into());
        }
        let mut message = json!({"topic": draft.topic(), "headers": headers, "path": draft.path});
        let mut verbatim = None;
        if let Some(value) = &self.value {
            message["value"] = value.value();
            verbatim = self.is_whole.then(|| value.written());
        }
        if let Some(extra) = extra {
            message["extra"] = extra;
        }
        if draft.is_event() {
            message["revision"] = draft.signal.revision.into();
            message["timestamp"] = draft.timestamp().into();
        }
        (message, verbatim)
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        other => other,
    }
}

fn header(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

fn due(key: String, headers: Vec<(String, String)>, payload: Payload) -> Due {
    Due { key: Some(key), partition: None, headers, has_order: false, payload }
}

fn scripted(draft: &Draft, seen: &Seen) -> Fate {
    let parts = match draft.order {
        // A mapper whose condition does not hold is not run.
        _ if draft.is_off => return Fate::Dropped("unmapped"),
        Some("throw") => return Fate::Failed("mapping"),
        Some("null") => return Fate::Dropped("unmapped"),
        Some("two") => 2,
        _ => 1,
    };
    let value = seen.value.as_ref().map_or_else(|| "\"none\"".to_owned(), Node::scripted);
    let record = |part| {
        let text = format!(
            "{{\"id\":\"{}\",\"what\":\"{}\",\"part\":{part},\"path\":\"{}\",\"value\":{value},\"length\":{}}}",
            draft.signal.thing_id(),
            draft.topic_tail().replace('/', "."),
            draft.path,
            draft.path.len()
        );
        let headers = vec![
            header("correlation-id", draft.signal.correlation_id()),
            header("part", format!("{part}")),
            header("what", format!("{} ☃", draft.channel())),
            header("content-type", "application/vnd.campaign+json"),
            header("ditto-connection-id", CONNECTION),
        ];
        due(format!("thing-{}", draft.signal.thing), headers, Payload::Text(text))
    };
    Fate::Published((0..parts).map(record).collect())
}

fn filtered(draft: &Draft, seen: &Seen) -> Fate {
    let thing = seen.thing(draft);
    let at = |pointer: &str| thing.pointer(pointer);
    let is_high = at("/attributes/open/level").and_then(Value::as_f64).is_some_and(|level| level > 400.0);
    let holds = match draft.kind {
        Kind::TwinEvent => {
            let is_labelled = at("/attributes/open/label").and_then(Value::as_str) == Some(LABEL);
            let is_on = at("/features/lamp/properties/on") == Some(&Value::Bool(true));
            is_high || is_labelled || draft.action == "created" && is_on
        }
        Kind::LiveEvent => is_high,
        _ => draft.action == "ask",
    };
    if holds { protocol_record(draft, seen, None) } else { Fate::Dropped("filtered") }
}

fn enriched(draft: &Draft, seen: &Seen) -> Fate {
    let (site, floor) = (site(draft.signal.thing), draft.signal.thing);
    let mut extra = json!({"attributes": {"site": site}});
    let has_floor = draft.kind == Kind::TwinEvent && !has_policy_of_parts(floor);
    if has_floor {
        extra["attributes"]["floor"] = floor.into();
    }
    let thing = seen.thing(draft);
    // What the event says counts for more.
    let site = thing.pointer("/attributes/site").and_then(Value::as_str).unwrap_or(site);
    let holds = match draft.kind {
        Kind::TwinEvent => site == "nörd" || has_floor && floor < 10,
        _ => site != "söuth",
    };
    if holds { protocol_record(draft, seen, Some(extra)) } else { Fate::Dropped("filtered") }
}

fn protocol_record(draft: &Draft, seen: &Seen, extra: Option<Value>) -> Fate {
    let (value, verbatim) = seen.protocol(draft, extra);
    let verbatim = verbatim.map(|text| (vec!["value"], text)).into_iter().collect();
    let headers = vec![
        header("content-type", "application/vnd.eclipse.ditto+json"),
        header("correlation-id", draft.signal.correlation_id()),
        header("ditto-connection-id", CONNECTION),
    ];
    let payload = Payload::Json { value, verbatim, now: None };
    Fate::Published(vec![due(draft.signal.thing_id(), headers, payload)])
}

fn cloud_event(draft: &Draft, seen: &Seen) -> Fate {
    if !draft.has_key {
        return Fate::Failed("address-unresolved");
    }
    let thing = seen.thing(draft);
    let label = thing.pointer("/attributes/open/label").and_then(Value::as_str).unwrap_or("none");
    let mut headers = vec![
        header("content-type", "application/cloudevents+json"),
        header("correlation-id", draft.signal.correlation_id()),
        header("thing", format!("org.campaign/thing-{}", draft.signal.thing)),
        header("what", format!("{}.{}", draft.criterion(), draft.action.to_uppercase())),
        header("label", label),
        header("ditto-connection-id", CONNECTION),
    ];
    if draft.is_traced {
        headers.push(header("trace", format!("Spür {}", draft.signal.revision)));
    }
    let (data, verbatim) = seen.protocol(draft, None);
    let mut value = json!({
        "data": data, "specversion": "1.0", "id": draft.signal.correlation_id(),
        "source": "https://github.com/eclipse-ditto/ditto",
        "type": format!("org.eclipse.ditto.outbound:{}", draft.topic_tail()),
        "datacontenttype": "application/vnd.eclipse.ditto+json", "subject": draft.signal.thing_id(),
    });
    if draft.is_event() {
        value["time"] = draft.timestamp().into();
    }
    // Commands have no time of their own: theirs is that of the writing.
    let now = (!draft.is_event()).then_some("time");
    let verbatim = verbatim.map(|text| (vec!["data", "value"], text)).into_iter().collect();
    Fate::Published(vec![due(draft.key(), headers, Payload::Json { value, verbatim, now })])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What a campaign is for is in a few thousand of its signals.
    #[test]
    fn every_fate_occurs_at_every_target_that_knows_it() {
        let work = Mapped { seed: 1 };
        let mut counts = BTreeMap::<(usize, String), usize>::new();
        let mut pairs = 0;
        for at in 0..4_000 {
            let signal = Signal { thing: at % THINGS, revision: at as u64 / THINGS as u64 + 1 };
            for target in 0..work.targets().len() {
                let fate = work.fate(target, signal);
                let name = match &fate {
                    Fate::Published(records) => {
                        pairs += usize::from(records.len() == 2);
                        "published".to_owned()
                    }
                    other => format!("{other:?}"),
                };
                *counts.entry((target, name)).or_default() += 1;
            }
        }
        let of = |target: usize| counts.keys().filter(|(at, _)| *at == target).count();
        // Published, unselected, restricted; and what each can do beside it.
        assert_eq!([of(SCRIPTED), of(FILTERED), of(ENRICHED), of(CLOUD)], [5, 4, 4, 4], "{counts:?}");
        assert!(counts.values().all(|count| *count > 10) && pairs > 10, "{counts:?}");
    }

    /// A payload that is as it is due.
    fn bytes(due: &Due) -> String {
        let (value, verbatim, now) = match &due.payload {
            Payload::Text(text) => return text.clone(),
            Payload::Json { value, verbatim, now } => (value, verbatim, now),
        };
        let mut value = value.clone();
        if let Some(now) = now {
            value[*now] = jiff::Timestamp::now().to_string().into();
        }
        let mut text = value.to_string();
        for (way, raw) in verbatim {
            let written = way.iter().fold(&value, |value, name| &value[*name]);
            text = text.replacen(&format!("\"value\":{written}"), &format!("\"value\":{raw}"), 1);
        }
        text
    }

    /// What is compared, changed by as little as can be.
    #[test]
    fn the_least_change_is_found() {
        let work = Mapped { seed: 1 };
        let (mut blanks, mut times) = (0, 0);
        for at in 0..2_000 {
            let signal = Signal { thing: at % THINGS, revision: at as u64 / THINGS as u64 + 1 };
            for due in (0..4).flat_map(|target| work.fate(target, signal).records()) {
                let text = bytes(&due);
                let good = Consumed {
                    partition: 0,
                    offset: 0,
                    headers: due
                        .headers
                        .iter()
                        .map(|(name, value)| (name.clone(), value.clone().into()))
                        .collect(),
                    key: due.key.clone().map(String::into_bytes),
                    value: Some(text.clone().into_bytes()),
                };
                let found = |change: &dyn Fn(&mut Consumed)| {
                    let mut record = good.clone();
                    change(&mut record);
                    due.difference(&record)
                };
                let says = |text: String| found(&|it| it.value = Some(text.clone().into_bytes()));
                assert_eq!(found(&|it| it.headers.reverse()), None, "{text}");
                assert_eq!(found(&|it| it.key = None), Some("key"));
                assert_eq!(found(&|it| drop(it.headers.pop())), Some("headers"));
                assert_eq!(found(&|it| it.value = None), Some("payload"));
                assert_eq!(says(text.replacen("thing-", "thing~", 1)), Some("payload"));
                if let Payload::Text(_) = due.payload {
                    assert_eq!(says(format!("{text} ")), Some("payload"));
                }
                if text.contains(",\t") {
                    blanks += 1;
                    assert_eq!(says(text.replacen(",\t", ", ", 1)), Some("payload"));
                }
                if let Payload::Json { now: Some(_), .. } = due.payload {
                    times += 1;
                    let old = text.replacen("\"time\":\"20", "\"time\":\"19", 1);
                    assert_eq!(says(old), Some("payload"));
                }
            }
        }
        assert!(blanks > 100 && times > 20, "{blanks} {times}");
    }
}
