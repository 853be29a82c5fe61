//! Functions from text to text.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::error::FunctionErrorKind;
use crate::value::{MAX_BYTES, Value};

/// As Java decodes: padding may be left out, and bits behind the last byte are not looked at.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Replaces every occurrence; nothing occurs before each character and at the end.
pub(super) fn replace(text: &str, from: &str, to: &str) -> Result<String, FunctionErrorKind> {
    let found = if from.is_empty() { text.chars().count() + 1 } else { text.matches(from).count() };
    let length = (text.len() - found * from.len()).saturating_add(found.saturating_mul(to.len()));
    if length > MAX_BYTES {
        return Err(FunctionErrorKind::TooMuchText);
    }
    Ok(text.replace(from, to))
}

/// One text of all. What is deleted has none, which counts as no value (§5a).
pub(super) fn join(input: &Value, separator: &str) -> Result<Value, FunctionErrorKind> {
    let Value::Resolved(texts) = input else { return Ok(Value::Unresolved) };
    if texts.len().saturating_mul(separator.len()) > MAX_BYTES {
        return Err(FunctionErrorKind::TooMuchText);
    }
    Ok(Value::Resolved(vec![texts.join(separator)]))
}

/// As forms are encoded, in UTF-8.
pub(super) fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0').to_ascii_uppercase();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(byte.into()),
            b' ' => out.push('+'),
            _ => out.extend(['%', digit(byte >> 4), digit(byte & 0xf)]),
        }
    }
    out
}

/// The way back; bytes that are no UTF-8 become replacement characters.
pub(super) fn url_decode(text: &str) -> Result<String, FunctionErrorKind> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let digit = |byte: Option<u8>| {
        let value = byte.and_then(|byte| char::from(byte).to_digit(16));
        value.and_then(|value| u8::try_from(value).ok()).ok_or(FunctionErrorKind::NoPercentEncoding)
    };
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => out.push(digit(bytes.next())? << 4 | digit(bytes.next())?),
            _ => out.push(byte),
        }
    }
    Ok(lossy(out))
}

pub(super) fn base64_encode(text: &str) -> String {
    STANDARD.encode(text)
}

/// Bytes that are no UTF-8 become replacement characters.
pub(super) fn base64_decode(text: &str) -> Result<String, FunctionErrorKind> {
    // Padding is whole or absent: `YQ=` is neither.
    let is_cut = text.ends_with('=') && !text.len().is_multiple_of(4);
    let decoded = LENIENT.decode(text).ok().filter(|_| !is_cut);
    decoded.map(lossy).ok_or(FunctionErrorKind::NoBase64)
}

fn lossy(bytes: Vec<u8>) -> String {
    match String::from_utf8_lossy(&bytes) {
        Cow::Owned(text) => text,
        Cow::Borrowed(text) => text.to_owned(),
    }
}
