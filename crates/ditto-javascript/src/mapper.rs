//! The mapper at work (mapping.md §5).

use std::sync::Arc;

use ditto_mapping::{
    Adaptable, DITTO_PROTOCOL, ExternalMessage, Mapper, MappingError, OutgoingMessage, OutgoingSignal,
    Payload,
};
use ditto_protocol::{ErrorCode, Limits};
use rquickjs::{ArrayBuffer, Ctx, Object, Value};

use crate::engine::Engine;
use crate::external::{message, texts_of};
use crate::factory::Scripts;

#[derive(Debug)]
pub(crate) struct JavaScriptMapper {
    scripts: Arc<Scripts>,
    /// Made when it is needed first, and again after a limit was met.
    engine: Option<Engine>,
    written: Vec<u8>,
}

impl JavaScriptMapper {
    pub(crate) fn new(scripts: Arc<Scripts>) -> Self {
        Self { scripts, engine: None, written: Vec::new() }
    }

    fn run<R>(
        &mut self,
        call: impl FnOnce(&mut Engine) -> Result<Result<R, MappingError>, String>,
    ) -> Result<R, MappingError> {
        let failed =
            |why: String| MappingError::failed(format!("the script failed: {why}"), "mend the script");
        let engine = match &mut self.engine {
            Some(engine) => engine,
            None => self.engine.insert(self.scripts.engine().map_err(|(_, why)| failed(why))?),
        };
        let result = call(engine);
        if engine.is_spent() {
            self.engine = None;
        }
        result.map_err(failed)?
    }
}

impl Mapper for JavaScriptMapper {
    fn incoming(&mut self, message: &ExternalMessage) -> Result<Vec<Adaptable>, MappingError> {
        if self.scripts.incoming.is_empty() {
            return plain(message);
        }
        self.run(|engine| {
            engine.call("mapToDittoProtocolMsgWrapper", |ctx| argument(ctx, message), adaptables)
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
            self.run(|engine| {
                engine.call("mapFromDittoProtocolMsgWrapper", |ctx| ctx.json_parse(&written[..]), externals)
            })
        };
        self.written = written;
        messages.extend(mapped?);
        Ok(())
    }
}

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

/// What the function for incoming messages gets.
fn argument<'js>(ctx: &Ctx<'js>, message: &ExternalMessage) -> rquickjs::Result<Value<'js>> {
    let headers = Object::new(ctx.clone())?;
    for (name, value) in message.headers() {
        headers.set(name, value)?;
    }
    let null = || Value::new_null(ctx.clone());
    let argument = Object::new(ctx.clone())?;
    argument.set("headers", headers)?;
    match message.text() {
        Some(text) => argument.set("textPayload", &**text)?,
        None => argument.set("textPayload", null())?,
    }
    match message.bytes() {
        Some(bytes) => argument.set("bytePayload", ArrayBuffer::new_copy(ctx.clone(), bytes)?)?,
        None => argument.set("bytePayload", null())?,
    }
    match message.header("content-type") {
        Some(content_type) => argument.set("contentType", content_type)?,
        None => argument.set("contentType", null())?,
    }
    Ok(argument.into_value())
}

/// Null is nothing, an array its elements, and anything else itself.
fn each<'js, R>(
    result: Value<'js>,
    mut one: impl FnMut(Value<'js>) -> rquickjs::Result<Result<R, MappingError>>,
) -> rquickjs::Result<Result<Vec<R>, MappingError>> {
    if result.is_null() {
        return Ok(Ok(Vec::new()));
    }
    let elements = match result.as_array() {
        Some(array) => array.iter::<Value<'js>>().collect::<rquickjs::Result<Vec<_>>>()?,
        None => vec![result],
    };
    let mut all = Vec::with_capacity(elements.len().min(16));
    for element in elements {
        match one(element)? {
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
        message(ctx, object, texts_of)
    })
}
