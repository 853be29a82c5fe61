//! What a row about payload mappers says, read without the code under test.

use serde_json::{Map, Value, json};

/// A mapper and what comes to it.
#[derive(Debug)]
pub(super) struct Mapped<'r> {
    engine: &'r str,
    options: &'r Value,
    inputs: Vec<&'r Value>,
}

/// The last second of the year 9999.
const NEVER: &str = "9999-12-31T23:59:59Z";

impl<'r> Mapped<'r> {
    /// `None` for rows that are not about mappers.
    pub(super) fn of(row: &'r Value) -> Option<Self> {
        let given = row.get("given")?;
        let engine = given.get("mapper")?.get("engine")?.as_str()?;
        let inputs = match given.get("inputs").and_then(Value::as_array) {
            Some(inputs) => inputs.iter().collect(),
            None => vec![given.get("input")?],
        };
        Some(Self { engine, options: &given["mapper"]["options"], inputs })
    }

    /// Whether a path has a tilde.
    pub(super) fn has_tilde(&self) -> bool {
        self.inputs.iter().any(|input| path(input).contains('~'))
    }

    /// Writes paths as they were said, where the reference has escaped their tildes.
    pub(super) fn keep_tildes(&self, expected: &mut Value) {
        for input in &self.inputs {
            let said = path(input);
            replace_paths(expected, &said.replace('~', "~0"), &said);
        }
    }

    /// The inputs whose time of connection ends after all times that fit.
    fn endless(&self) -> Vec<usize> {
        let number = |input: &Value, name: &str| input["headers"][name].as_str()?.parse::<i64>().ok();
        let is_endless = |input: &Value| {
            let (created, seconds) = (number(input, "creation-time")?, number(input, "ttd")?);
            Some(i128::from(created) + i128::from(seconds) * 1_000 > i128::from(i64::MAX))
        };
        let inputs = self.inputs.iter().enumerate();
        let endless = inputs.filter(|(_, input)| is_endless(input) == Some(true)).map(|(n, _)| n);
        if self.engine == "ConnectionStatus" { endless.collect() } else { Vec::new() }
    }

    pub(super) fn has_endless(&self) -> bool {
        !self.endless().is_empty()
    }

    /// What lasts longer than times can tell has no end.
    pub(super) fn end_never(&self, expected: &mut Value) {
        for n in self.endless() {
            let result = &mut expected["results"][n];
            for place in ["/outcomes/0/signal", "/mapperOutput/0"] {
                let until = format!("{place}/value/properties/status/readyUntil");
                if let Some(until) = result.pointer_mut(&until) {
                    *until = NEVER.into();
                }
            }
        }
    }

    /// The inputs that bring JSON into the text of a thing.
    fn injections(&self) -> Vec<usize> {
        let brings_json = |input: &Value| {
            let mut texts = Vec::new();
            collect_texts(&self.thing(), &mut texts);
            let found = texts.iter().flat_map(|text| names(text));
            let mut values = found.filter_map(|name| header(input, &name));
            values.any(|value| value.contains(|c: char| c == '"' || c == '\\' || c < ' '))
        };
        let injections =
            self.inputs.iter().enumerate().filter(|(_, input)| brings_json(input)).map(|(n, _)| n);
        if self.creates_things() { injections.collect() } else { Vec::new() }
    }

    pub(super) fn has_injection(&self) -> bool {
        !self.injections().is_empty()
    }

    /// Header values are texts of the thing, whatever they are.
    pub(super) fn take_as_text(&self, expected: &mut Value) {
        for n in self.injections() {
            if let Some(input) = self.inputs.get(n) {
                expected["results"][n] = self.creation(input);
            }
        }
    }

    /// Whether the headers of a later command depend on those of the first.
    pub(super) fn has_memory(&self) -> bool {
        let mut headers = self.options["commandHeaders"].as_object().into_iter().flatten();
        self.creates_things()
            && self.inputs.len() > 1
            && headers.any(|(_, template)| template.as_str().is_some_and(|text| text.contains("{{")))
    }

    /// Each command has the headers of its own message.
    pub(super) fn forget(&self, expected: &mut Value) {
        for (n, input) in self.inputs.iter().enumerate() {
            let ours = self.creation(input);
            for place in ["/outcomes/0/signal/dittoHeaders", "/mapperOutput/0/headers"] {
                let theirs = expected["results"][n].pointer_mut(place);
                if let (Some(theirs), Some(ours)) = (theirs, ours.pointer(place)) {
                    *theirs = ours.clone();
                }
            }
        }
    }

    fn creates_things(&self) -> bool {
        self.engine == "ImplicitThingCreation"
    }

    fn thing(&self) -> Value {
        match &self.options["thing"] {
            Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
            other => other.clone(),
        }
    }

    /// The result for one input of a mapper that creates things, if all of its placeholders are headers without functions.
    fn creation(&self, input: &Value) -> Value {
        let mut thing = resolved(&self.thing(), input);
        let id = thing["thingId"].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = id.split_once(':').unwrap_or_default();
        thing["_namespace"] = namespace.into();
        let topic = format!("{namespace}/{name}/things/twin/commands/create");
        let lockout = self.options.get("allowPolicyLockout") != Some(&json!(false));
        let mut headers = Map::from_iter([("if-none-match".to_owned(), json!("*"))]);
        for (name, template) in self.options["commandHeaders"].as_object().into_iter().flatten() {
            let template = template.as_str().unwrap_or_default();
            if names(template).iter().all(|name| header(input, name).is_some()) {
                headers.insert(name.clone(), filled(template, input).into());
            } else {
                headers.shift_remove(name);
            }
        }
        let mut output = headers.clone();
        output.insert("allow-policy-lockout".to_owned(), lockout.into());
        headers.insert("allow-policy-lockout".to_owned(), lockout.to_string().into());
        headers.insert("ditto-entity-id".to_owned(), format!("thing:{id}").into());
        headers.insert("ditto-inbound-payload-mapper".to_owned(), "m".into());
        let signal = json!({ "type": "things.commands:createThing", "dittoHeaders": headers, "topic": topic,
            "path": "/", "value": thing });
        json!({
            "outcomes": [{ "outcome": "mapped", "mapper": "m", "signal": signal }],
            "mapperOutput": [{ "topic": topic, "headers": output, "path": "/", "value": thing }],
        })
    }
}

/// The path of a signal, or of the message of the Ditto Protocol that a record is.
fn path(input: &Value) -> String {
    let of = |message: &Value| message["path"].as_str().map(ToOwned::to_owned);
    let text = input["valueText"].as_str().unwrap_or_default();
    let message = serde_json::from_str::<Value>(text).unwrap_or_default();
    of(&input["ditto"]).or_else(|| of(&message)).unwrap_or_default()
}

fn replace_paths(value: &mut Value, theirs: &str, ours: &str) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == "path" && text == theirs => *text = ours.to_owned(),
                    other => replace_paths(other, theirs, ours),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|value| replace_paths(value, theirs, ours)),
        _ => {}
    }
}

fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(elements) => elements.iter().for_each(|value| collect_texts(value, texts)),
        Value::Object(members) => members.values().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
}

/// The names between the braces of a text.
fn names(text: &str) -> Vec<String> {
    let inner = text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
    inner.map(|(name, _)| name.trim().to_owned()).collect()
}

/// What a placeholder stands for.
fn header(input: &Value, name: &str) -> Option<String> {
    if name == "request:subjectId" {
        return Some("integ:gateway".to_owned());
    }
    input["headers"][name.strip_prefix("header:")?].as_str().map(ToOwned::to_owned)
}

fn filled(text: &str, input: &Value) -> String {
    let mut pieces = text.split("{{");
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for (inner, rest) in pieces.filter_map(|piece| piece.split_once("}}")) {
        filled.push_str(&header(input, inner.trim()).unwrap_or_default());
        filled.push_str(rest);
    }
    filled
}

fn resolved(value: &Value, input: &Value) -> Value {
    match value {
        Value::String(text) => filled(text, input).into(),
        Value::Array(elements) => elements.iter().map(|value| resolved(value, input)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), resolved(value, input))).collect()
        }
        other => other.clone(),
    }
}
