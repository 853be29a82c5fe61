//! placeholders.ndjson: templates, times and addresses, each by itself.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ditto_outbound::SignalValues;
use ditto_placeholder::{Placeholder, Resolve, ResolvedAddress, Scope, Template, TimeName, UtcTime};
use ditto_protocol::{Limits, Signal};
use serde_json::{Value, json};

pub(super) fn run(row: &Value) -> Value {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    match text("mode") {
        "resolve" => resolve(text("template"), &row["context"]),
        "validate" => match text("template").parse::<Template>() {
            Ok(template) => match template.check() {
                Ok(()) => json!({ "outcome": "valid" }),
                Err(error) => refused(error.code()),
            },
            Err(error) => refused(error.code()),
        },
        "time-at" => time(text("name"), text("now")),
        "kafka-address" => match ResolvedAddress::parse(text("template")) {
            Ok(ResolvedAddress { topic, key, partition }) => {
                json!({ "outcome": "parsed", "topic": topic, "key": key, "partition": partition })
            }
            Err(error) => refused(error.code()),
        },
        mode => json!({ "outcome": format!("no such mode: {mode}") }),
    }
}

fn resolve(template: &str, context: &Value) -> Value {
    let scope = match context["scope"].as_str() {
        Some("header-only") => Scope::EnforcementInput,
        Some("connection-only") => Scope::Connection,
        Some("source-address") => Scope::SourceAddress,
        _ => Scope::Mapping,
    };
    let context = match Context::new(context) {
        Ok(context) => context,
        Err(error) => return json!({ "outcome": format!("the signal is none: {error}") }),
    };
    let template = match Template::parse(template, scope) {
        Ok(template) => template,
        Err(error) => return refused(error.code()),
    };
    match template.resolve_all(&context) {
        Ok(ditto_placeholder::Value::Resolved(values)) => json!({ "outcome": "resolved", "values": values }),
        Ok(ditto_placeholder::Value::Unresolved) => json!({ "outcome": "unresolved" }),
        Ok(ditto_placeholder::Value::Deleted) => json!({ "outcome": "deleted" }),
        Err(error) => refused(error.code()),
    }
}

fn time(name: &str, now: &str) -> Value {
    let Ok(now) = now.parse::<jiff::Timestamp>() else { return json!({ "outcome": "no time" }) };
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    match TimeName::parse(name) {
        Some(time) => {
            let mut value = String::new();
            time.append(UtcTime::new(now.as_second(), nanos), &mut value);
            json!({ "outcome": "resolved", "values": [value] })
        }
        None => json!({ "outcome": "unsupported" }),
    }
}

fn refused(code: &str) -> Value {
    json!({ "error": { "code": code, "status": 400 } })
}

/// What a row says of the message and its surroundings.
pub(super) struct Context {
    signal: Option<Signal>,
    headers: Option<HashMap<String, String>>,
    subjects: Vec<String>,
    connection_id: Option<String>,
    source_address: Option<String>,
}

impl Context {
    pub(super) fn new(context: &Value) -> anyhow::Result<Self> {
        let text = |name: &str| context[name].as_str().map(str::to_owned);
        let signal = match &context["signal"] {
            Value::Null => None,
            message => {
                let mut message = message.clone();
                if let Some(extra) = context.get("extra") {
                    message["extra"] = extra.clone();
                }
                Some(Signal::decode(message.to_string().into(), &Limits::default())?)
            }
        };
        let headers = context["headers"].as_object().map(|headers| {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            headers.iter().map(|(name, value)| (name.to_lowercase(), text(value))).collect()
        });
        let subjects = context["authSubjects"].as_array().into_iter().flatten();
        Ok(Self {
            signal,
            headers,
            subjects: subjects.filter_map(Value::as_str).map(str::to_owned).collect(),
            connection_id: text("connectionId"),
            source_address: text("sourceAddress"),
        })
    }

    fn of_signal(&self) -> Option<SignalValues<'_>> {
        self.signal.as_ref().map(|signal| SignalValues::new(signal, self.connection_id.as_deref()))
    }
}

impl Resolve for Context {
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
        let text = match placeholder {
            Placeholder::Header(name) if self.headers.is_some() => {
                self.headers.as_ref()?.get(&name.to_lowercase())?
            }
            Placeholder::RequestSubjectId => self.subjects.first()?,
            Placeholder::ConnectionId => self.connection_id.as_ref()?,
            Placeholder::SourceAddress => self.source_address.as_ref()?,
            Placeholder::Time(time) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
                time.append(UtcTime::new(now.as_secs().try_into().ok()?, now.subsec_nanos()), out);
                return Some(());
            }
            _ => return self.of_signal()?.resolve(placeholder, out),
        };
        out.push_str(text);
        Some(())
    }

    fn resolve_all(&self, placeholder: &Placeholder, each: &mut dyn FnMut(&str)) {
        match (placeholder, self.of_signal()) {
            (Placeholder::RequestSubjectId, _) => self.subjects.iter().for_each(|subject| each(subject)),
            (Placeholder::FeatureId | Placeholder::ThingJson(_), Some(values)) => {
                values.resolve_all(placeholder, each);
            }
            _ => {
                let mut text = String::new();
                if self.resolve(placeholder, &mut text).is_some() {
                    each(&text);
                }
            }
        }
    }
}
