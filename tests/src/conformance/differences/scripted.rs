//! What a row's script says, read without an engine: only that the reference refuses it for its language or its depth, and
//! what it returns if that is written there.

use serde_json::{Value, json};

/// A script of the JavaScript mapper for messages from outside.
#[derive(Debug)]
pub(super) struct Scripted<'r>(&'r str);

/// The deepest calls within calls that the reference allows.
const DEEPEST: u32 = 25;

impl<'r> Scripted<'r> {
    /// `None` for rows that have no such script.
    pub(super) fn of(row: &'r Value) -> Option<Self> {
        let mapper = row.get("given")?.get("mapper")?;
        let script = mapper.get("options")?.get("incomingScript")?.as_str()?;
        (mapper.get("engine")? == "JavaScript").then_some(Self(script))
    }

    /// Whether the reference does not know its syntax: classes, and rest properties of objects.
    pub(super) fn is_newer(&self) -> bool {
        let has_rest = self.0.split("...").skip(1).any(|rest| {
            let after = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').trim_start();
            after.starts_with('}')
        });
        has_rest || self.0.contains("class ")
    }

    /// Whether a function of it calls itself more often than the reference allows.
    pub(super) fn is_deep(&self) -> bool {
        let names = self.0.split("function ").skip(1).filter_map(|rest| rest.split_once('('));
        let mut names = names.map(|(name, _)| name).filter(|name| !name.is_empty());
        names.any(|name| {
            let call = format!("{name}(");
            let calls = self.0.split(&call).skip(1);
            let mut depths = calls.filter_map(|rest| rest.split_once(')')?.0.parse::<u32>().ok());
            depths.any(|depth| depth > DEEPEST)
        })
    }

    /// What it returns: nothing, or one command whose parameters but the value are written there.
    pub(super) fn answer(&self) -> Option<Value> {
        let result = match self.0.split_once("Ditto.buildDittoProtocolMsg(") {
            None if self.0.contains("return null;}") => {
                json!({ "outcomes": [{ "outcome": "dropped" }], "mapperOutput": [] })
            }
            None => return None,
            Some((_, call)) => {
                let (texts, rest) = call.split_once(",{")?;
                let (headers, _) = rest.split_once('}')?;
                let texts: Vec<&str> = texts.split(',').map(|text| text.trim_matches('\'')).collect();
                let [namespace, name, "things", "twin", "commands", "modify", path] = texts.as_slice() else {
                    return None;
                };
                let headers: Value =
                    serde_json::from_str(&format!("{{{}}}", headers.replace('\'', "\""))).ok()?;
                let topic = format!("{namespace}/{name}/things/twin/commands/modify");
                let mut all = headers.clone();
                all["ditto-entity-id"] = format!("thing:{namespace}:{name}").into();
                all["ditto-inbound-payload-mapper"] = "m".into();
                // Without an engine nobody knows the value.
                json!({
                    "outcomes": [{ "outcome": "mapped", "mapper": "m", "signal": {
                        "type": "things.commands:modifyAttribute", "dittoHeaders": all, "topic": topic, "path": path,
                        "value": "<value>" } }],
                    "mapperOutput": [{ "topic": topic, "headers": headers, "path": path, "value": "<value>" }],
                })
            }
        };
        Some(json!({ "results": [result] }))
    }
}
