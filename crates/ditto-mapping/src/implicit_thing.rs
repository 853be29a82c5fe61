//! The ImplicitThingCreation mapper: a thing for each device that sends something (mapping.md §8).

use std::sync::Arc;

use ditto_placeholder::{Resolution, Resolve};
use ditto_protocol::{Criterion, DefinitionId, ErrorCode, Headers, PolicyId, ThingId};
use serde_json::{Map, Value};

use crate::adaptable::{Adaptable, Parts, topic_of};
use crate::error::MappingError;
use crate::external::ExternalMessage;
use crate::finding::below;
use crate::mapper::{CompiledMapper, Mapper, MapperFactory};
use crate::options::{Options, text_of};
use crate::outgoing::{OutgoingMessage, OutgoingSignal};
use crate::template::{OptionTemplate, of_message};

const THING: &str = "thing";
const COMMAND_HEADERS: &str = "commandHeaders";
const ALLOW_POLICY_LOCKOUT: &str = "allowPolicyLockout";

/// The members of a thing that a command may have. Others have no effect.
const MEMBERS: [&str; 7] =
    ["thingId", "policyId", "definition", "attributes", "features", "_policy", "_copyPolicyFrom"];

#[derive(Debug)]
pub(crate) struct ImplicitThingFactory;

impl MapperFactory for ImplicitThingFactory {
    fn engine(&self) -> &'static str {
        "ImplicitThingCreation"
    }

    fn class(&self) -> &'static str {
        "org.eclipse.ditto.connectivity.service.mapping.ImplicitThingCreationMessageMapper"
    }

    fn needs_options(&self) -> bool {
        true
    }

    fn option_names(&self) -> &'static [&'static str] {
        &[THING, COMMAND_HEADERS, ALLOW_POLICY_LOCKOUT]
    }

    fn compile(&self, options: &mut Options<'_>) -> Option<Arc<dyn CompiledMapper>> {
        let thing = thing(options);
        let mut texts = vec![("if-none-match".to_owned(), "*".to_owned())];
        for (name, value) in options.object(COMMAND_HEADERS).into_iter().flatten() {
            let text = text_of(&value).into_owned();
            match texts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = text,
                None => texts.push((name, text)),
            }
        }
        let headers = texts
            .into_iter()
            .map(|(name, text)| {
                let at = below(COMMAND_HEADERS, &name);
                let template = OptionTemplate::read(&text, options, &at, of_message);
                (name, template)
            })
            .collect();
        let allows_lockout = options.flag(ALLOW_POLICY_LOCKOUT).unwrap_or(true);
        Some(Arc::new(ImplicitThing(Arc::new(Command { thing: thing?, headers, allows_lockout }))))
    }
}

/// Reads the template of the thing, which may also stand there as text.
fn thing(options: &mut Options<'_>) -> Option<Node> {
    const WRITE: &str = r#"write "thing": {"thingId": "{{ header:device_id }}"}"#;
    let members = match options.value(THING).map(text_of).map(|text| serde_json::from_str(&text)) {
        None => {
            options.refuse(THING, "it is missing", WRITE);
            return None;
        }
        Some(Ok(Value::Object(members))) => members,
        Some(_) => {
            options.refuse(THING, "it is no json object", WRITE);
            return None;
        }
    };
    let check = |name: &str, is_id: fn(&str) -> Result<(), String>, options: &mut Options<'_>| {
        let at = format!("{THING}/{name}");
        match members.get(name) {
            None => false,
            Some(Value::String(text)) => {
                // With a placeholder it can be judged only when it is resolved.
                if !text.contains("{{")
                    && !text.contains("${")
                    && let Err(why) = is_id(text)
                {
                    options.refuse(&at, why, "write namespace:name, or a placeholder");
                }
                true
            }
            Some(_) => {
                options.refuse(&at, "it is no string", "write namespace:name, or a placeholder");
                true
            }
        }
    };
    let is_thing_id =
        |text: &str| text.parse::<ThingId>().map(drop).map_err(|error| error.message().to_owned());
    let is_policy_id =
        |text: &str| text.parse::<PolicyId>().map(drop).map_err(|error| error.message().to_owned());
    if !check("thingId", is_thing_id, options) {
        options.refuse(&format!("{THING}/thingId"), "it is missing", WRITE);
    }
    check("policyId", is_policy_id, options);
    for name in members.keys().filter(|name| !MEMBERS.contains(&name.as_str())) {
        options.warn(
            &format!("{THING}/{name}"),
            "it has no effect",
            format!("leave it out; a new thing has {}", MEMBERS.join(", ")),
        );
    }
    let node = Node::read(&Value::Object(members.clone()), options, THING);
    (!options.has_errors()).then_some(node)
}

/// A JSON value in which texts are templates, names of members too.
///
/// INVARIANT: what a template gives is one text of the value, whatever it is. The reference puts it into the JSON text, where
/// a quote goes on as JSON.
#[derive(Debug)]
enum Node {
    Fixed(Value),
    Text(OptionTemplate),
    Array(Vec<Node>),
    Object(Vec<(OptionTemplate, Node)>),
}

impl Node {
    fn read(value: &Value, options: &mut Options<'_>, at: &str) -> Self {
        match value {
            Value::String(text) => {
                let template = OptionTemplate::read(text, options, at, of_message);
                match template.as_constant() {
                    Some(text) => Self::Fixed(text.into()),
                    None => Self::Text(template),
                }
            }
            Value::Array(elements) => {
                let read = |(n, value)| Self::read(value, options, &format!("{at}/{n}"));
                Self::Array(elements.iter().enumerate().map(read).collect())
            }
            Value::Object(members) => {
                let read = |(name, value): (&String, &Value)| {
                    let at = below(at, name);
                    (OptionTemplate::read(name, options, &at, of_message), Self::read(value, options, &at))
                };
                Self::Object(members.iter().map(read).collect())
            }
            other => Self::Fixed(other.clone()),
        }
    }

    fn resolve(&self, values: &impl Resolve) -> Result<Value, MappingError> {
        Ok(match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(template) => text(template, values)?.into(),
            Self::Array(elements) => {
                elements.iter().map(|element| element.resolve(values)).collect::<Result<Vec<_>, _>>()?.into()
            }
            Self::Object(members) => {
                let resolve = |(name, value): &(OptionTemplate, Self)| {
                    Ok((text(name, values)?, value.resolve(values)?))
                };
                members.iter().map(resolve).collect::<Result<Map<_, _>, MappingError>>()?.into()
            }
        })
    }
}

/// The text of a template in a thing. What is deleted leaves an empty one: around it there is a thing.
fn text(template: &OptionTemplate, values: &impl Resolve) -> Result<String, MappingError> {
    let mut text = String::new();
    match template.resolve_into(values, &mut text)? {
        Resolution::Resolved | Resolution::Deleted => Ok(text),
        Resolution::Unresolved => Err(MappingError::new(
            ErrorCode::PLACEHOLDER_UNRESOLVED,
            "a placeholder of the thing has no value",
            "send the header, or give it a default: {{ header:x | fn:default('y') }}",
        )),
    }
}

#[derive(Debug)]
struct Command {
    thing: Node,
    headers: Vec<(String, OptionTemplate)>,
    allows_lockout: bool,
}

#[derive(Debug, Clone)]
struct ImplicitThing(Arc<Command>);

impl CompiledMapper for ImplicitThing {
    fn instance(&self) -> Result<Box<dyn Mapper>, MappingError> {
        Ok(Box::new(self.clone()))
    }
}

impl Mapper for ImplicitThing {
    fn incoming(&mut self, message: &ExternalMessage) -> Result<Vec<Adaptable>, MappingError> {
        self.0.create(message).map(|command| vec![command])
    }

    /// An error that answers the command is told as one, so that it is logged.
    fn outgoing(
        &mut self,
        signal: &OutgoingSignal<'_>,
        _: &mut Vec<OutgoingMessage>,
    ) -> Result<(), MappingError> {
        let signal = signal.signal();
        if signal.topic_path().criterion != Criterion::Errors {
            return Ok(());
        }
        let Some(Ok(Value::Object(error))) = signal.value().map(serde_json::from_str) else { return Ok(()) };
        let text = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
        let code = text("error").unwrap_or_else(|| ErrorCode::MESSAGE_MAPPING_FAILED.name().to_owned());
        let reason = text("message").unwrap_or_else(|| "the thing was not created".to_owned());
        let remedy = text("description").unwrap_or_else(|| "see its code".to_owned());
        Err(MappingError::of_code(code, signal.status().unwrap_or(500), reason, remedy))
    }
}

impl Command {
    fn create(&self, message: &ExternalMessage) -> Result<Adaptable, MappingError> {
        let values = message.values();
        let Value::Object(mut thing) = self.thing.resolve(&values)? else {
            return Err(MappingError::failed("the thing is no object", "write it as an object"));
        };
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        for (name, template) in &self.headers {
            // One without a value is left out, of this command only.
            if let Some(text) = template.resolve(&values)? {
                headers.push((name.as_str(), text));
            }
        }
        let mut headers = Headers::of_text(headers)?;
        headers.set("allow-policy-lockout", self.allows_lockout.to_string())?;
        let thing_id: ThingId = string(&thing, "thingId")?.unwrap_or_default().parse()?;
        string(&thing, "policyId")?.map(str::parse::<PolicyId>).transpose()?;
        string(&thing, "definition")?.map(str::parse::<DefinitionId>).transpose()?;
        if string(&thing, "_copyPolicyFrom")?.is_some() && thing.contains_key("_policy") {
            return Err(MappingError::new(
                ErrorCode::POLICIES_CONFLICTING,
                "a new thing has either a policy of its own or a copy of one",
                "leave `_policy` or `_copyPolicyFrom` out",
            ));
        }
        thing.retain(|name, _| MEMBERS.contains(&name.as_str()));
        thing.insert("_namespace".to_owned(), thing_id.namespace().into());
        Ok(Adaptable::new(&Parts {
            topic: &topic_of(&thing_id, "twin/commands/create"),
            headers: &headers,
            path: "/",
            value: Some(&Value::Object(thing).to_string()),
            status: None,
        }))
    }
}

/// A member that must be a string where it is not null.
fn string<'t>(thing: &'t Map<String, Value>, name: &str) -> Result<Option<&'t str>, MappingError> {
    match thing.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => {
            Err(MappingError::failed(format!("`{name}` of the thing is no string"), "write it as a string"))
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use crate::external::ExternalMessage;
    use crate::lane::LaneMappers;
    use crate::tests::{headers, incoming, list, outgoing, received};

    use super::*;

    fn definition(options: Value) -> Value {
        json!({ "mappingEngine": "ImplicitThingCreation", "options": options })
    }

    #[track_caller]
    fn check(options: Value, sent: &[(&str, &str)], expected: Expect) {
        expected.assert_eq(&incoming(definition(options), sent, ""));
    }

    #[test]
    fn texts_are_templates_wherever_they_stand() {
        let thing = json!({ "thingId": "a:{{ header:id }}", "definition": "x:y:{{ header:v | fn:default('1') }}",
            "attributes": { "{{ header:id }}": [{ "by": "{{ request:subjectId }}" }, 1.5, null], "gone": "{{ header:id | fn:delete() }}" },
            "features": {}, "_revision": 7 });
        check(
            json!({ "thing": thing }),
            &[("id", "d\"1")],
            expect![[r#"
            a/d"1/things/twin/commands/create / allow-policy-lockout=true,if-none-match=* {"thingId":"a:d\"1","definition":"x:y:1","attributes":{"d\"1":[{"by":"i:s"},1.5,null],"gone":""},"features":{},"_namespace":"a"}
        "#]],
        );
        check(
            json!({ "thing": thing.to_string() }),
            &[("id", "d")],
            expect![[r#"
            a/d/things/twin/commands/create / allow-policy-lockout=true,if-none-match=* {"thingId":"a:d","definition":"x:y:1","attributes":{"d":[{"by":"i:s"},1.5,null],"gone":""},"features":{},"_namespace":"a"}
        "#]],
        );
        check(
            json!({ "thing": thing }),
            &[],
            expect![[r#"
            400 placeholder:unresolved: a placeholder of the thing has no value; send the header, or give it a default: {{ header:x | fn:default('y') }}
        "#]],
        );
        check(
            json!({ "thing": thing }),
            &[("id", "d"), ("v", "a b")],
            expect![[r#"
            400 things:definition.identifier.invalid: definition `x:y:a b` is neither namespace:name:version nor an http(s) URL; mend the message, or use another mapper
        "#]],
        );
        check(
            json!({ "thing": thing }),
            &[("id", "d/e")],
            expect![[r#"
            400 things:id.invalid: invalid id `a:d/e`: the name is empty, has a slash, a control character or one of U+007F to U+00FF; mend the message, or use another mapper
        "#]],
        );
    }

    #[test]
    fn policies() {
        let thing = |more: Value| {
            let mut thing = json!({ "thingId": "a:b" });
            thing.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({ "thing": thing, "allowPolicyLockout": "False" })
        };
        let check = |more: Value, expected| check(thing(more), &[("p", "no id")], expected);
        check(
            json!({ "policyId": "a:p", "_policy": { "entries": {} } }),
            expect![[r#"
            a/b/things/twin/commands/create / allow-policy-lockout=false,if-none-match=* {"thingId":"a:b","policyId":"a:p","_policy":{"entries":{}},"_namespace":"a"}
        "#]],
        );
        check(
            json!({ "policyId": "{{ header:p }}" }),
            expect![[r#"
            400 policies:id.invalid: invalid id `no id`: no colon after the namespace; mend the message, or use another mapper
        "#]],
        );
        check(
            json!({ "_policy": {}, "_copyPolicyFrom": "a:p" }),
            expect![[r#"
            400 things:policy.conflicting: a new thing has either a policy of its own or a copy of one; leave `_policy` or `_copyPolicyFrom` out
        "#]],
        );
        check(
            json!({ "_copyPolicyFrom": 5 }),
            expect![[r#"
            400 connectivity:message.mapping.failed: `_copyPolicyFrom` of the thing is no string; write it as a string
        "#]],
        );
    }

    #[test]
    fn command_headers_are_of_their_message() {
        let options = json!({ "thing": { "thingId": "a:b" }, "commandHeaders": {
            "If-None-Match": "{{ header:tag }}", "x": "{{ header:x }}", "response-required": false } });
        let list = list(definition(options));
        let mut lane = LaneMappers::default();
        let mut check = |sent: &[(&str, &str)], expected: Expect| {
            let message = ExternalMessage::of_text(headers(sent), "");
            expected.assert_eq(&received(&mut lane, &list, &message));
        };
        check(
            &[("x", "1"), ("tag", "\"t\"")],
            expect![[r#"
            a/b/things/twin/commands/create / If-None-Match="t",allow-policy-lockout=true,response-required=false,x=1 {"thingId":"a:b","_namespace":"a"}
        "#]],
        );
        check(
            &[],
            expect![[r#"
            a/b/things/twin/commands/create / allow-policy-lockout=true,if-none-match=*,response-required=false {"thingId":"a:b","_namespace":"a"}
        "#]],
        );
        check(
            &[("tag", "none")],
            expect![[r#"
            400 header.invalid: header `if-none-match` is not a list of entity tags, or *: `none`; mend the message, or use another mapper
        "#]],
        );
        check(
            &[("x", "2")],
            expect![[r#"
            a/b/things/twin/commands/create / allow-policy-lockout=true,if-none-match=*,response-required=false,x=2 {"thingId":"a:b","_namespace":"a"}
        "#]],
        );
    }

    #[test]
    fn only_errors_are_told_outside() {
        let check = |message: Value, expected: Expect| {
            expected.assert_eq(&outgoing(definition(json!({ "thing": { "thingId": "a:b" } })), message));
        };
        let error = |value: Value| json!({ "topic": "a/b/things/twin/errors", "path": "/", "status": 403, "value": value });
        let known = json!({ "status": 403, "error": "things:thing.notcreatable", "message": "m", "description": "d" });
        check(
            error(known),
            expect![[r#"
            403 things:thing.notcreatable: m
        "#]],
        );
        check(
            error(json!({ "error": "x:y" })),
            expect![[r#"
            403 x:y: the thing was not created
        "#]],
        );
        check(
            json!({ "topic": "a/b/things/twin/commands/modify", "path": "/", "status": 204 }),
            expect![["dropped\n"]],
        );
    }
}
