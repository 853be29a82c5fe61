//! The mapper at work (mapping.md §5).

use std::sync::Arc;

use ditto_mapping::{
    Adaptable, DITTO_PROTOCOL, ExternalMessage, Mapper, MappingError, OutgoingMessage, OutgoingSignal,
    Payload, SignalMembers,
};
use ditto_protocol::{ErrorCode, Limits};
use rquickjs::function::Args;
use rquickjs::prelude::IntoJs;
use rquickjs::{ArrayBuffer, Ctx, Function, Null, Object, Value};

use crate::engine::Engine;
use crate::external::{length, message};
use crate::factory::Scripts;
use crate::scopes::Scope;

#[derive(Debug)]
pub(crate) struct JavaScriptMapper {
    scripts: Arc<Scripts>,
    scope: Arc<Scope>,
    written: Vec<u8>,
}

impl JavaScriptMapper {
    pub(crate) fn new(scripts: Arc<Scripts>) -> Self {
        let scope = scripts.scope();
        Self { scripts, scope, written: Vec::new() }
    }

    fn run<R>(
        &self,
        call: impl FnOnce(&mut Engine) -> Result<Result<R, MappingError>, String>,
    ) -> Result<R, MappingError> {
        let result = self.scope.run(&self.scripts.all(), call);
        result.map_err(|why| MappingError::failed(format!("the script failed: {why}"), "mend the script"))?
    }
}

impl Mapper for JavaScriptMapper {
    fn incoming(&mut self, message: &ExternalMessage) -> Result<Vec<Adaptable>, MappingError> {
        if self.scripts.incoming.is_empty() {
            return plain(message);
        }
        self.run(|engine| {
            engine.call(
                "mapToDittoProtocolMsg",
                |ctx, function| to_ditto(ctx, &function, message),
                adaptables,
            )
        })
    }

    fn outgoing(
        &mut self,
        signal: &OutgoingSignal<'_>,
        messages: &mut Vec<OutgoingMessage>,
    ) -> Result<(), MappingError> {
        let mut written = std::mem::take(&mut self.written);
        written.clear();
        signal.write(&mut written);
        let mapped = if self.scripts.outgoing.is_empty() {
            Ok(vec![with_all_headers(&written)])
        } else {
            let members = SignalMembers::of(&written);
            self.run(|engine| {
                engine.call(
                    "mapFromDittoProtocolMsg",
                    |ctx, function| from_ditto(ctx, &function, &members),
                    externals,
                )
            })
        };
        if written.capacity() <= LARGEST {
            // One huge message must not be kept for ever.
            self.written = written;
        }
        messages.extend(mapped?);
        Ok(())
    }
}

/// The largest message whose memory is used again, in bytes.
const LARGEST: usize = 64 << 10;

/// Without a script a payload is Ditto Protocol JSON.
fn plain(message: &ExternalMessage) -> Result<Vec<Adaptable>, MappingError> {
    let text = match (message.text(), message.bytes()) {
        (Some(text), _) => text.clone(),
        (None, Some(bytes)) => String::from_utf8_lossy(bytes).into_owned().into(),
        (None, None) => return Ok(Vec::new()),
    };
    if !matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'n') | None)
        && serde_json::from_str::<serde_json::Value>(&text).is_ok()
    {
        return Err(MappingError::new(
            ErrorCode::JSON_FORMAT_INVALID,
            "the payload is no json object",
            "send a message of the Ditto Protocol, or write an `incomingScript`",
        ));
    }
    Ok(vec![Adaptable::of_text(text)])
}

/// Without a script a signal goes out as it is, with all of its headers.
fn with_all_headers(written: &[u8]) -> OutgoingMessage {
    let signal: serde_json::Value = serde_json::from_slice(written).unwrap_or_default();
    let mut message = OutgoingMessage::new(Payload::Text(written.to_vec().into()));
    for (name, value) in signal.get("headers").and_then(|it| it.as_object()).into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        message = message.with_header(name.to_lowercase(), text);
    }
    message.with_header("content-type", DITTO_PROTOCOL)
}

/// Calls the function for messages from outside.
fn to_ditto<'js>(
    ctx: &Ctx<'js>,
    function: &Function<'js>,
    message: &ExternalMessage,
) -> rquickjs::Result<Value<'js>> {
    let headers = Object::new(ctx.clone())?;
    for (name, value) in message.headers() {
        headers.set(name, value)?;
    }
    let mut args = Args::new(ctx.clone(), 4);
    args.push_arg(headers)?;
    args.push_arg(or_null(ctx, message.text().map(|text| &**text))?)?;
    match message.bytes() {
        Some(bytes) => args.push_arg(ArrayBuffer::new_copy(ctx.clone(), bytes)?)?,
        None => args.push_arg(Null)?,
    }
    args.push_arg(or_null(ctx, message.header("content-type"))?)?;
    function.call_arg(args)
}

fn or_null<'js, T: IntoJs<'js>>(ctx: &Ctx<'js>, it: Option<T>) -> rquickjs::Result<Value<'js>> {
    it.map_or_else(|| Null.into_js(ctx), |it| it.into_js(ctx))
}

/// Calls the function for signals.
fn from_ditto<'js>(
    ctx: &Ctx<'js>,
    function: &Function<'js>,
    signal: &SignalMembers<'_>,
) -> rquickjs::Result<Value<'js>> {
    let mut args = Args::new(ctx.clone(), 11);
    let mut segments = signal.topic.split('/');
    let (namespace, name, group) = (segments.next(), segments.next(), segments.next());
    let channel = if group == Some("things") { segments.next() } else { Some("none") };
    for segment in [namespace, name, group, channel, segments.next(), segments.next(), Some(&*signal.path)] {
        args.push_arg(segment)?;
    }
    for json in [signal.headers, signal.value, signal.status, signal.extra] {
        args.push_arg(json.map(|json| ctx.json_parse(json)).transpose()?)?;
    }
    function.call_arg(args)
}

/// Most elements of an array that are looked at; how many a mapper may make is up to its lane.
const MOST_MESSAGES: u32 = 1_000;

/// Null is nothing, an array its elements, and anything else itself.
fn each<'js, R>(
    result: Value<'js>,
    mut one: impl FnMut(Value<'js>) -> rquickjs::Result<Result<R, MappingError>>,
) -> rquickjs::Result<Result<Vec<R>, MappingError>> {
    if result.is_null() {
        return Ok(Ok(Vec::new()));
    }
    if result.is_promise() {
        return Ok(Err(MappingError::failed(
            "the script returned a promise, which nobody waits for",
            "return the message itself, from a function that is not `async`",
        )));
    }
    let Some(array) = result.as_object().filter(|_| result.is_array()) else {
        return Ok(one(result)?.map(|it| vec![it]));
    };
    let Some(length) = length(array)?.filter(|length| *length <= MOST_MESSAGES) else {
        return Ok(Err(MappingError::failed(
            format!("the script returned an array of more than {MOST_MESSAGES}"),
            "return fewer messages; none of them goes on",
        )));
    };
    let mut all = Vec::new();
    for at in 0..length {
        match one(array.get(at)?)? {
            Ok(it) => all.push(it),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(all))
}

fn adaptables<'js>(
    ctx: &Ctx<'js>,
    result: Value<'js>,
) -> rquickjs::Result<Result<Vec<Adaptable>, MappingError>> {
    let refuse = |reason: String| {
        MappingError::failed(
            format!("what the script returned is no message of the Ditto Protocol: {reason}"),
            "return what Ditto.buildDittoProtocolMsg gives, or null",
        )
    };
    each(result, |value| {
        let Some(text) = ctx.json_stringify(value)? else {
            return Ok(Err(refuse("it is undefined".to_owned())));
        };
        let adaptable = Adaptable::of_text(text.to_string()?.into());
        Ok(match adaptable.check(&Limits::default()) {
            Ok(()) => Ok(adaptable),
            Err(error) => Err(refuse(error.reason().to_owned())),
        })
    })
}

fn externals<'js>(
    ctx: &Ctx<'js>,
    result: Value<'js>,
) -> rquickjs::Result<Result<Vec<OutgoingMessage>, MappingError>> {
    each(result, |value| {
        let Some(object) = value.as_object() else {
            return Ok(Err(MappingError::failed(
                format!("the script returned a {}, which is no message", value.type_name()),
                "return what Ditto.buildExternalMsg gives, or null",
            )));
        };
        message(ctx, object)
    })
}
