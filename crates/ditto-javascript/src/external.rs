//! From what a script returns to a message.

use bytes::Bytes;
use ditto_mapping::{MappingError, OutgoingMessage, Payload};
use rquickjs::{Ctx, Object, Value};

/// A message of the members `headers`, `textPayload`, `bytePayload` and `contentType`. Bytes count for more than text.
pub(crate) fn message<'js>(
    ctx: &Ctx<'js>,
    object: &Object<'js>,
    texts: impl Fn(&Ctx<'js>, &Object<'js>) -> rquickjs::Result<Vec<(String, String)>>,
) -> rquickjs::Result<Result<OutgoingMessage, MappingError>> {
    let refuse =
        |reason: &str, remedy: &'static str| Ok(Err(MappingError::failed(reason.to_owned(), remedy)));
    let payload = match bytes(object)? {
        Some(bytes) => Payload::Bytes(bytes),
        None => match object.get::<_, Value<'js>>("textPayload")?.as_string() {
            Some(text) => Payload::Text(text.to_string()?.into()),
            None => {
                return refuse(
                    "the message has neither bytes nor a text",
                    "give Ditto.buildExternalMsg a string or an ArrayBuffer",
                );
            }
        },
    };
    let mut message = OutgoingMessage::new(payload);
    if let Some(headers) = object.get::<_, Value<'js>>("headers")?.as_object() {
        for (name, text) in texts(ctx, headers)? {
            message = message.with_header(name, text);
        }
    }
    let content_type: Value<'js> = object.get("contentType")?;
    match content_type.as_string() {
        Some(text) => Ok(Ok(message.with_header("content-type", text.to_string()?))),
        // A parameter that was not given; a member that is not there is refused, as in the reference.
        None if content_type.is_undefined() && object.get("hasContentType")? => Ok(Ok(message)),
        None => refuse("the message has no content type", "give Ditto.buildExternalMsg a content type"),
    }
}

/// Bytes as the prelude hands them over: a text whose code units they are.
fn bytes(object: &Object<'_>) -> rquickjs::Result<Option<Bytes>> {
    let units: Value<'_> = object.get("bytes")?;
    let Some(units) = units.as_string() else { return Ok(None) };
    let text = units.to_string()?;
    Ok(Some(text.chars().map(|unit| u8::try_from(unit).unwrap_or_default()).collect()))
}

/// The headers as texts: strings as they are, integers without a point, null and undefined as `null`, and anything else as JSON.
pub(crate) fn texts_of<'js>(
    ctx: &Ctx<'js>,
    headers: &Object<'js>,
) -> rquickjs::Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for entry in headers.props::<String, Value<'js>>() {
        let (name, value) = entry?;
        let text = match value.as_string() {
            Some(text) => text.to_string()?,
            None => json(ctx, &value, false)?,
        };
        texts.push((name, text));
    }
    Ok(texts)
}

/// As the reference writes it: what is in an array is read as JSON again, and numbers there have a point.
fn json<'js>(ctx: &Ctx<'js>, value: &Value<'js>, is_in_array: bool) -> rquickjs::Result<String> {
    if let Some(array) = value.as_array() {
        let parts = array.iter::<Value<'js>>().map(|value| json(ctx, &value?, true));
        return Ok(format!("[{}]", parts.collect::<rquickjs::Result<Vec<_>>>()?.join(",")));
    }
    if let (Some(text), true) = (value.as_string(), is_in_array) {
        let text = text.to_string()?;
        let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        return Ok(if is_json { text } else { serde_json::Value::from(text).to_string() });
    }
    if let (Some(number), true) = (value.as_number(), is_in_array)
        && number.fract() == 0.0
    {
        return Ok(format!("{number:.1}"));
    }
    if let Some(object) = value.as_object().filter(|_| !value.is_function()) {
        let parts = object.props::<String, Value<'js>>().map(|entry| {
            let (name, value) = entry?;
            let text = match value.as_string() {
                Some(text) => serde_json::Value::from(text.to_string()?).to_string(),
                None => json(ctx, &value, false)?,
            };
            Ok(format!("{}:{text}", serde_json::Value::from(name)))
        });
        return Ok(format!("{{{}}}", parts.collect::<rquickjs::Result<Vec<_>>>()?.join(",")));
    }
    let text = ctx.json_stringify(value.clone())?;
    text.map_or_else(|| Ok("null".to_owned()), |text| text.to_string())
}
