//! The charset of a payload (outbound.md §4.2, inbound.md §2).

use bytes::Bytes;
use bytestring::ByteString;
use encoding_rs::{EncoderResult, Encoding, UTF_8};

/// The charset that a content type names: what follows `;charset=` or `; charset=`, in lower case and with any one
/// character between. UTF-8 if it names none, or one that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Ascii,
    Latin1,
    /// With the byte order that its first two bytes say, else big endian.
    Utf16,
    Other(&'static Encoding),
}

impl Charset {
    fn of_content_type(content_type: &str) -> Self {
        let name = content_type.match_indices(';').find_map(|(at, _)| {
            let rest = content_type.get(at + 1..)?;
            rest.strip_prefix("charset=").or_else(|| {
                let mut rest = rest.chars();
                rest.next().filter(|between| !matches!(between, '\n' | '\r'))?;
                rest.as_str().strip_prefix("charset=")
            })
        });
        let name = name.unwrap_or("utf-8");
        // For the web Latin-1 and ASCII are other charsets, and UTF-16 has another byte order.
        match name.to_ascii_lowercase().as_str() {
            "iso-8859-1" | "iso8859-1" | "iso8859_1" | "iso_8859-1" | "latin1" | "l1" => Self::Latin1,
            "utf-16" | "utf_16" | "utf16" | "unicode" => Self::Utf16,
            "us-ascii" | "ascii" | "iso646-us" => Self::Ascii,
            _ => Self::Other(Encoding::for_label_no_replacement(name.as_bytes()).unwrap_or(UTF_8)),
        }
    }
}

/// A payload as text; what is no text of its charset becomes U+FFFD. Well formed UTF-8 is not copied.
pub(crate) fn decode(payload: &Bytes, content_type: Option<&str>) -> ByteString {
    let text = match content_type.map_or(Charset::Other(UTF_8), Charset::of_content_type) {
        Charset::Other(encoding) if encoding == UTF_8 => match ByteString::try_from(payload.clone()) {
            Ok(text) => return text,
            Err(_) => String::from_utf8_lossy(payload).into_owned(),
        },
        Charset::Ascii => payload
            .iter()
            .map(|byte| if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER })
            .collect(),
        Charset::Latin1 => payload.iter().map(|byte| char::from(*byte)).collect(),
        Charset::Utf16 => match payload.strip_prefix(&[0xff, 0xfe]) {
            Some(rest) => encoding_rs::UTF_16LE.decode_without_bom_handling(rest).0.into_owned(),
            None => {
                let rest = payload.strip_prefix(&[0xfe, 0xff]).unwrap_or(payload);
                encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0.into_owned()
            }
        },
        Charset::Other(encoding) => encoding.decode_without_bom_handling(payload).0.into_owned(),
    };
    text.into()
}

/// A text in the charset that a content type names. What that charset has not is a question mark, as in the reference.
/// UTF-8 is not copied.
pub fn encode_text(text: &Bytes, content_type: &str) -> Bytes {
    let charset = Charset::of_content_type(content_type);
    if charset == Charset::Other(UTF_8) {
        return text.clone();
    }
    let text = String::from_utf8_lossy(text);
    let below = |limit: u32| {
        let byte = move |c: char| u8::try_from(c as u32).ok().filter(|byte| u32::from(*byte) < limit);
        text.chars().map(|c| byte(c).unwrap_or(b'?')).collect()
    };
    let encoded: Vec<u8> = match charset {
        Charset::Ascii => below(0x80),
        Charset::Latin1 => below(0x100),
        Charset::Utf16 => {
            [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect()
        }
        Charset::Other(encoding) if encoding == encoding_rs::UTF_16BE => {
            text.encode_utf16().flat_map(u16::to_be_bytes).collect()
        }
        Charset::Other(encoding) if encoding == encoding_rs::UTF_16LE => {
            text.encode_utf16().flat_map(u16::to_le_bytes).collect()
        }
        Charset::Other(encoding) => encode_web(&text, encoding),
    };
    encoded.into()
}

fn encode_web(text: &str, encoding: &'static Encoding) -> Vec<u8> {
    let (mut encoder, mut encoded, mut rest) = (encoding.new_encoder(), Vec::new(), text);
    loop {
        encoded.reserve(
            encoder.max_buffer_length_from_utf8_without_replacement(rest.len()).unwrap_or(rest.len()),
        );
        let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut encoded, true);
        rest = rest.get(read..).unwrap_or_default();
        match result {
            EncoderResult::InputEmpty => return encoded,
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(_) => encoded.push(b'?'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(payload: &[u8], content_type: &str, expected: &str) {
        let text = decode(&Bytes::copy_from_slice(payload), Some(content_type));
        assert_eq!(text, expected, "{content_type}");
    }

    #[test]
    fn charsets() {
        check(b"caf\xe9", "text/plain;charset=ISO-8859-1", "caf\u{e9}");
        check(b"\x80", "text/plain; charset=latin1", "\u{80}");
        check(b"a\x80", "text/plain; charset=US-ASCII", "a\u{fffd}");
        check(b"\x80", "text/plain;.charset=windows-1252", "\u{20ac}");
        check(b"\xfe\xff\0a", "text/plain;charset=UTF-16", "a");
        check(b"\xff\xfea\0", "text/plain;charset=utf-16", "a");
        check(b"\0a", "text/plain;charset=UTF-16", "a");
        check(b"a\0\xd8", "text/plain;charset=UTF-16LE", "a\u{fffd}");
        check(b"caf\xc3\xa9", "text/plain;  charset=ISO-8859-1", "caf\u{e9}");
        check(b"caf\xc3\xa9", "text/plain; Charset=ISO-8859-1", "caf\u{e9}");
        check(b"\xc3\xa9", "text/plain;charset=nobody", "\u{e9}");
        check(b"\xc3\xa9\xc3(", "", "\u{e9}\u{fffd}(");
        check("\u{feff}x".as_bytes(), "a/b", "\u{feff}x");
    }

    #[test]
    fn utf8_is_shared() {
        let payload = Bytes::from_static(b"abc");
        assert_eq!(decode(&payload, None).as_bytes().as_ptr(), payload.as_ptr());
    }

    #[test]
    fn texts_are_encoded() {
        let check = |text: &str, charset: &str, expected: &[u8]| {
            let content_type = format!("text/plain;charset={charset}");
            assert_eq!(&*encode_text(&text.to_owned().into(), &content_type), expected, "{charset}");
        };
        check("a\u{e9}\u{20ac}", "ISO-8859-1", b"a\xe9?");
        check("a\u{e9}", "US-ASCII", b"a?");
        check("\u{20ac}\u{416}.", "windows-1252", b"\x80?.");
        check("a\u{1f600}", "UTF-16", b"\xfe\xff\0a\xd8\x3d\xde\0");
        check("a", "UTF-16LE", b"a\0");
        check("a", "UTF-16BE", b"\0a");
        check("\u{e9}", "nobody", b"\xc3\xa9");
        check("\u{e9}", "utf-8", b"\xc3\xa9");
    }
}
