//! From what a script returns to a message. What it returns is a script's as well: it may have no end, or run when it is read.

use bytes::Bytes;
use ditto_mapping::{MappingError, OutgoingMessage, Payload};
use rquickjs::{ArrayBuffer, Coerced, Ctx, Object, TypedArray, Value};

/// What was read, or why it is no message.
type Read<T> = rquickjs::Result<Result<T, MappingError>>;

/// Most values that the headers of one message may have, those within them counted too.
const MOST_VALUES: usize = 10_000;
/// Deepest header.
const DEEPEST: usize = 64;
/// Most bytes that may be a list of numbers, or an array of numbers that are not bytes: as many as one mapper may make.
const MOST_NUMBERS: u32 = 4 << 20;

fn refuse<T>(reason: impl Into<String>, remedy: &'static str) -> Read<T> {
    Ok(Err(MappingError::failed(reason.into(), remedy)))
}

/// A message of the members `headers`, `textPayload`, `bytePayload` and `contentType`. Bytes count for more than text.
pub(crate) fn message<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> Read<OutgoingMessage> {
    let headers: Value<'js> = object.get("headers")?;
    let text: Value<'js> = object.get("textPayload")?;
    let bytes: Value<'js> = object.get("bytePayload")?;
    let content_type: Value<'js> = object.get("contentType")?;
    let payload = match bytes_of(&bytes)? {
        Err(error) => return Ok(Err(error)),
        Ok(Some(bytes)) => Payload::Bytes(bytes),
        Ok(None) => match text.as_string() {
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
    if let Some(headers) = headers.as_object() {
        let mut writer = Writer { ctx, left: MOST_VALUES };
        for entry in headers.props::<String, Value<'js>>() {
            let (name, value) = entry?;
            let written = match value.as_string() {
                Some(text) => Some(text.to_string()?),
                None => writer.json(&value, DEEPEST, false)?,
            };
            let Some(text) = written.filter(|_| writer.count()) else {
                return refuse(
                    format!("the headers have more than {MOST_VALUES} values, or are deeper than {DEEPEST}"),
                    "make headers smaller",
                );
            };
            message = message.with_header(name, text);
        }
    }
    match content_type.as_string() {
        Some(text) => Ok(Ok(message.with_header("content-type", text.to_string()?))),
        // A parameter that was not given; a member that is not there is refused, as in the reference.
        None if content_type.is_undefined() && object.contains_key("contentType")? => Ok(Ok(message)),
        None => refuse("the message has no content type", "give Ditto.buildExternalMsg a content type"),
    }
}

/// The bytes of a buffer, of an array of bytes, or of a list of numbers, each modulo 256. Anything else is none.
fn bytes_of(payload: &Value<'_>) -> Read<Option<Bytes>> {
    if !payload.is_object() {
        return Ok(Ok(None));
    }
    if let Some(buffer) = ArrayBuffer::from_value(payload.clone()) {
        return Ok(Ok(Some(copy_buffer(&buffer))));
    }
    if let Ok(array) = TypedArray::<u8>::from_value(payload.clone()) {
        return Ok(Ok(Some(copy_array(&array))));
    }
    let Some(object) = payload.as_object() else { return Ok(Ok(None)) };
    if !payload.is_array() && !is_view(object)? {
        return Ok(Ok(None));
    }
    let Some(length) = length(object)?.filter(|length| *length <= MOST_NUMBERS) else {
        return refuse(format!("the payload has more than {MOST_NUMBERS} numbers"), "make it smaller");
    };
    let mut bytes = Vec::new();
    for at in 0..length {
        let number: Coerced<f64> = object.get(at)?;
        bytes.push(byte(number.0));
    }
    Ok(Ok(Some(bytes.into())))
}

/// The length of what is an array, or says so; none if there is no such array. What has no length, such as a DataView, has nothing.
pub(crate) fn length(object: &Object<'_>) -> rquickjs::Result<Option<u32>> {
    let length: Coerced<f64> = object.get("length")?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is at least 0 and at most the largest"
    )]
    let length = (length.0 <= f64::from(u32::MAX) || length.0.is_nan()).then(|| length.0.max(0.0) as u32);
    Ok(length)
}

/// As an array of bytes takes a number.
fn byte(number: f64) -> u8 {
    let number = if number.is_finite() { number.trunc().rem_euclid(256.0) } else { 0.0 };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is at least 0 and below 256"
    )]
    let byte = number as u8;
    byte
}

/// Whether it is an array of some kind of numbers, by the language's own test.
fn is_view(object: &Object<'_>) -> rquickjs::Result<bool> {
    let buffers: Object<'_> = object.ctx().globals().get("ArrayBuffer")?;
    let is_view: rquickjs::Function<'_> = buffers.get("isView")?;
    is_view.call((object.clone(),))
}

#[expect(unsafe_code, reason = "no script runs until the bytes have been copied")]
fn copy_buffer(buffer: &ArrayBuffer<'_>) -> Bytes {
    // SAFETY: as said above; the slice is not kept.
    Bytes::copy_from_slice(unsafe { buffer.as_bytes() }.unwrap_or_default())
}

#[expect(unsafe_code, reason = "no script runs until the bytes have been copied")]
fn copy_array(array: &TypedArray<'_, u8>) -> Bytes {
    // SAFETY: as said above; the slice is not kept.
    Bytes::copy_from_slice(unsafe { array.as_bytes() }.unwrap_or_default())
}

/// Writes values of headers as the reference does: integers without a point, null and undefined as `null`, and anything else
/// as JSON; what is in an array is read as JSON again, and numbers there have a point.
struct Writer<'c, 'js> {
    ctx: &'c Ctx<'js>,
    /// Values that it still writes.
    left: usize,
}

impl<'js> Writer<'_, 'js> {
    /// Whether there may be one more.
    fn count(&mut self) -> bool {
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }

    /// None if it has too much in it.
    fn json(
        &mut self,
        value: &Value<'js>,
        deepest: usize,
        is_in_array: bool,
    ) -> rquickjs::Result<Option<String>> {
        if deepest == 0 || !self.count() {
            return Ok(None);
        }
        if let Some(array) = value.as_object().filter(|_| value.is_array()) {
            return self.array(array, deepest);
        }
        if let (Some(text), true) = (value.as_string(), is_in_array) {
            let text = text.to_string()?;
            let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            return Ok(Some(if is_json { text } else { serde_json::Value::from(text).to_string() }));
        }
        if let (Some(number), true) = (value.as_number(), is_in_array)
            && number.fract() == 0.0
        {
            return Ok(Some(format!("{number:.1}")));
        }
        if let Some(object) = value.as_object().filter(|_| !value.is_function()) {
            return self.object(object, deepest);
        }
        let text = self.ctx.json_stringify(value.clone())?;
        text.map_or_else(|| Ok("null".to_owned()), |text| text.to_string()).map(Some)
    }

    fn array(&mut self, array: &Object<'js>, deepest: usize) -> rquickjs::Result<Option<String>> {
        let Some(length) = length(array)?.filter(|length| *length as usize <= self.left) else {
            return Ok(None);
        };
        let mut parts = Vec::new();
        for at in 0..length {
            let Some(part) = self.json(&array.get(at)?, deepest - 1, true)? else { return Ok(None) };
            parts.push(part);
        }
        Ok(Some(format!("[{}]", parts.join(","))))
    }

    fn object(&mut self, object: &Object<'js>, deepest: usize) -> rquickjs::Result<Option<String>> {
        let mut parts = Vec::new();
        for entry in object.props::<String, Value<'js>>() {
            let (name, value) = entry?;
            let text = match value.as_string() {
                Some(text) => {
                    Some(serde_json::Value::from(text.to_string()?).to_string()).filter(|_| self.count())
                }
                None => self.json(&value, deepest - 1, false)?,
            };
            let Some(text) = text else { return Ok(None) };
            parts.push(format!("{}:{text}", serde_json::Value::from(name)));
        }
        Ok(Some(format!("{{{}}}", parts.join(","))))
    }
}
