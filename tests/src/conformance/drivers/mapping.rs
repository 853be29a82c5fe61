//! mapping.ndjson, mapping-js.ndjson and mapping-other.ndjson: payload mappers in both directions (schema.md §4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ditto_connection::{MapperFinding, MappingDefinition};
use ditto_connectivity::engines;
use ditto_mapping::{
    Adaptable, ExternalMessage, Finding, LaneMappers, MapperList, MappingError, MappingLimits, Mappings,
    Outcome, OutgoingMessage, OutgoingSignal, Payload, Severity,
};
use ditto_outbound::{SignalValues, check_mapper};
use ditto_protocol::{Headers, Limits, Segments, Signal, Written};
use serde_json::{Map, Value, json};

/// The connection around the mapper.
const CONNECTION: &str = "m-conn";
const SUBJECT: &str = "integ:gateway";

pub(super) fn run(row: &Value) -> Value {
    let given = &row["given"];
    let list = match mappers(&given["mapper"]) {
        Ok(list) => list,
        Err(findings) => {
            // The reference tells the first.
            let tell = |it: &Finding| json!({ "error": it.code, "status": 400, "message": it.reason, "description": it.remedy });
            return json!({ "configError": findings.first().map(tell) });
        }
    };
    let inputs = match given["inputs"].as_array() {
        Some(inputs) => inputs.clone(),
        None => vec![given["input"].clone()],
    };
    let mut lane = LaneMappers::new(MappingLimits::default());
    let results: Vec<Value> = if given["direction"] == "in" {
        let mut alone: Vec<_> = list.mappers().map(|(_, mapper)| mapper.instance()).collect();
        let each = |input: &Value| {
            let message = message(input);
            let mut outcomes = Vec::new();
            lane.incoming(&list, &message, CONNECTION, |id, outcome| outcomes.push(incoming(id, outcome)));
            let mut result = json!({ "outcomes": outcomes });
            for mapper in &mut alone {
                let output = mapper.as_mut().map_err(|error| error.clone());
                match output.and_then(|mapper| mapper.incoming(&message)).and_then(|all| output_of(&all)) {
                    Ok(output) => result["mapperOutput"] = output,
                    Err(error) => result["mapperThrows"] = error_form(&error),
                }
            }
            result
        };
        inputs.iter().map(each).collect()
    } else {
        let each = |input: &Value| {
            let mut outcomes = Vec::new();
            let signal = match signal(input) {
                Ok(signal) => signal,
                Err(error) => return json!({ "no signal": error.to_string() }),
            };
            let values = SignalValues::new(&signal, Some(CONNECTION));
            let outgoing_signal = OutgoingSignal::new(&signal, Written::default(), &values);
            lane.outgoing(&list, &outgoing_signal, |_, outcome| outcomes.push(outgoing(outcome)));
            json!({ "outcomes": outcomes })
        };
        inputs.iter().map(each).collect()
    };
    json!({ "results": results })
}

/// The mapper as the only definition, or by its own name without one.
fn mappers(mapper: &Value) -> Result<MapperList, Vec<Finding>> {
    let engine = mapper["engine"].as_str().unwrap_or_default();
    let (definitions, id) = if mapper["aliasOnly"] == true {
        (json!({}), engine)
    } else {
        let mut definition = json!({ "mappingEngine": engine });
        for name in ["options", "incomingConditions", "outgoingConditions"] {
            if let Some(value) = mapper.get(name) {
                definition[name] = value.clone();
            }
        }
        (json!({ "m": definition }), "m")
    };
    let mappings = Mappings::read(Some(&definitions), &engines());
    let findings = mappings.findings(|named| named == id);
    let refusal = findings.into_iter().find(|finding| finding.severity == Severity::Error);
    mappings
        .list(&[id], "/targets/0/payloadMapping")
        .map_err(|named| refusal.into_iter().chain(named).collect())
}

/// What the mappers themselves find wrong with a definition of a connection.
pub(super) fn check(definition: &MappingDefinition) -> Vec<MapperFinding> {
    check_mapper(definition, &engines())
}

fn message(input: &Value) -> ExternalMessage {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let headers = input["headers"].as_object().into_iter().flatten();
    let headers = headers.map(|(name, value)| (name.clone(), text(value))).collect();
    let bytes = match (&input["valueText"], &input["valueBase64"]) {
        (Value::String(text), _) => Some(Bytes::from(text.clone())),
        (_, Value::String(text)) => STANDARD.decode(text).ok().map(Bytes::from),
        _ => None,
    };
    let message = match (input["as"].as_str(), bytes) {
        (Some("textOnly"), Some(bytes)) => {
            let record = ExternalMessage::of_record(headers, Some(bytes));
            let headers = record.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            ExternalMessage::of_text(headers, record.text().cloned().unwrap_or_default())
        }
        (Some("bytesOnly"), Some(bytes)) => ExternalMessage::of_bytes(headers, bytes),
        (_, bytes) => ExternalMessage::of_record(headers, bytes),
    };
    message.with_subjects(vec![SUBJECT.to_owned()])
}

/// The signal with what its feed knows of it, and with what it was enriched with.
fn signal(input: &Value) -> anyhow::Result<Signal> {
    let mut signal = Signal::decode(Bytes::from(input["ditto"].to_string()), &Limits::default())?;
    for (name, text) in input["internalHeaders"].as_object().into_iter().flatten() {
        signal.headers_mut().set(name.as_str(), text.as_str().unwrap_or_default())?;
    }
    let extra = input.get("extra").map(ToString::to_string);
    Ok(match extra {
        Some(extra) => signal.with_extra(Some(&extra)),
        None => signal,
    })
}

fn incoming(id: &str, outcome: Outcome<Signal>) -> Value {
    match outcome {
        Outcome::Mapped(signal) => {
            json!({ "outcome": "mapped", "mapper": id, "signal": signal_form(&signal) })
        }
        Outcome::Dropped(_) => json!({ "outcome": "dropped" }),
        Outcome::Failed(error) => {
            let mut answer = failed(&error);
            answer["topicPath"] = error.topic().into();
            answer
        }
    }
}

fn outgoing(outcome: Outcome<OutgoingMessage>) -> Value {
    match outcome {
        Outcome::Mapped(message) => json!({ "outcome": "mapped", "message": message_form(&message) }),
        Outcome::Dropped(_) => json!({ "outcome": "dropped" }),
        Outcome::Failed(error) => failed(&error),
    }
}

fn failed(error: &MappingError) -> Value {
    let mut answer = error_form(error);
    answer["outcome"] = "error".into();
    answer
}

fn error_form(error: &MappingError) -> Value {
    json!({ "error": error.code(), "status": error.status(), "message": error.reason(),
        "description": error.remedy() })
}

/// A signal as Ditto holds it: its headers are texts.
fn signal_form(signal: &Signal) -> Value {
    let mut text = Vec::new();
    signal.write(&Written::default(), &mut text);
    let written: Value = serde_json::from_slice(&text).unwrap_or_default();
    let headers: Map<String, Value> = signal
        .headers()
        .iter()
        .map(|header| (header.name().to_owned(), Value::from(header.text().into_owned())))
        .collect();
    let mut form = json!({ "type": signal.signal_type().to_string(), "dittoHeaders": headers });
    for name in ["topic", "path", "value", "status", "revision"] {
        if let Some(value) = written.get(name) {
            form[name] = value.clone();
        }
    }
    form
}

/// What a mapper alone has made: messages of the Ditto Protocol, if they read as such.
fn output_of(adaptables: &[Adaptable]) -> Result<Value, MappingError> {
    adaptables.iter().map(adaptable_form).collect::<Result<Vec<_>, _>>().map(Value::from)
}

fn adaptable_form(adaptable: &Adaptable) -> Result<Value, MappingError> {
    let text = adaptable.text().clone().into_bytes();
    Signal::read_topic(text.clone(), &Limits::default())?;
    let message: Value = serde_json::from_slice(&text).unwrap_or_default();
    // Each header has the type that the protocol gives it.
    let headers = message["headers"].as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let headers = Headers::of_text(headers.map(|(name, value)| (name.as_str(), text(value))))?;
    let mut typed = Vec::new();
    headers.write(&mut typed);
    let path = message["path"].as_str().unwrap_or_default();
    let path = format!("/{}", Segments::of_path(path).collect::<Vec<_>>().join("/"));
    let mut form = json!({ "topic": message["topic"], "path": path,
        "headers": serde_json::from_slice::<Value>(&typed).unwrap_or_default() });
    for name in ["value", "status"] {
        if let Some(value) = message.get(name) {
            form[name] = value.clone();
        }
    }
    Ok(form)
}

fn message_form(message: &OutgoingMessage) -> Value {
    let headers: Map<String, Value> =
        message.headers().map(|(name, value)| (name.to_owned(), Value::from(&**value))).collect();
    let mut form =
        json!({ "headers": headers, "isResponse": message.is_response(), "isError": message.is_error() });
    match message.payload() {
        Payload::Empty => form["payloadType"] = "UNKNOWN".into(),
        Payload::Bytes(bytes) => {
            form["payloadType"] = "BYTES".into();
            form["bytesBase64"] = STANDARD.encode(bytes).into();
        }
        Payload::Text(bytes) => {
            form["payloadType"] = "TEXT".into();
            let text = String::from_utf8_lossy(bytes);
            let json =
                text.starts_with(['{', '[']).then(|| serde_json::from_str::<Value>(&text).ok()).flatten();
            match json {
                Some(json) => form["textJson"] = json,
                None => form["text"] = text.into(),
            }
        }
    }
    form
}
