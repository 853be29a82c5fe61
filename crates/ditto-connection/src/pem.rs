//! Whether a text is a certificate or a key in PEM: the frame of its DER, not what it says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// Whether there is at least one certificate, and nothing that only looks like one.
pub(crate) fn is_certificates(text: &str) -> bool {
    let begins = text.matches("-----BEGIN ").count();
    let certificates = blocks(text, "CERTIFICATE");
    begins == certificates.len() && begins > 0 && certificates.iter().all(|der| is_certificate(der))
}

/// Whether it is one private key, PKCS #8 without password.
pub(crate) fn is_private_key(text: &str) -> bool {
    let keys = blocks(text, "PRIVATE KEY");
    text.matches("-----BEGIN ").count() == 1
        && keys.len() == 1
        && keys.iter().all(|der| {
            let fields = whole(der).map(tags).unwrap_or_default();
            fields.starts_with(&[INTEGER, SEQUENCE, OCTET_STRING])
        })
}

/// A sequence of what is signed, how, and the signature.
fn is_certificate(der: &[u8]) -> bool {
    whole(der).map(tags).is_some_and(|fields| fields == [SEQUENCE, SEQUENCE, BIT_STRING])
}

/// What stands between the lines of a label, decoded. What is no base64 is left out.
fn blocks(text: &str, label: &str) -> Vec<Vec<u8>> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let parts = text.split(begin.as_str()).skip(1);
    let decoded = parts.filter_map(|part| {
        let (body, _) = part.split_once(end.as_str())?;
        let body: String = body.split_ascii_whitespace().collect();
        STANDARD.decode(body).ok().filter(|der| !der.is_empty())
    });
    decoded.collect()
}

/// The content of a sequence that is all there is.
fn whole(der: &[u8]) -> Option<&[u8]> {
    let (tag, content, rest) = element(der)?;
    (tag == SEQUENCE && rest.is_empty()).then_some(content)
}

/// The tags of the elements that stand side by side; none if they do not end where they should.
fn tags(mut der: &[u8]) -> Vec<u8> {
    let mut tags = Vec::new();
    while !der.is_empty() {
        let Some((tag, _, rest)) = element(der) else { return Vec::new() };
        tags.push(tag);
        der = rest;
    }
    tags
}

/// Tag and content of the first element, and what is behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Lengths of up to four bytes; none of ours is longer.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    #[test]
    fn frames_are_looked_at() {
        let certificate = pem("CERTIFICATE", &[0x30, 7, 0x30, 0, 0x30, 0, 0x03, 1, 0]);
        assert!(is_certificates(&certificate));
        assert!(is_certificates(&format!("subject=x\n{certificate}{certificate}")));
        let key = pem("PRIVATE KEY", &[0x30, 0x81, 7, 0x02, 1, 0, 0x30, 0, 0x04, 0]);
        assert!(is_private_key(&key));
        for text in ["", "x", &key, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"] {
            assert!(!is_certificates(text), "{text}");
        }
        assert!(!is_certificates(&format!("{certificate}-----BEGIN CERTIFICATE-----\nMIIB")));
        for text in ["", &certificate, &format!("{key}{key}"), &pem("RSA PRIVATE KEY", &[0x30, 0])] {
            assert!(!is_private_key(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(der in prop::collection::vec(any::<u8>(), 0..40), text in "\\PC*") {
            is_certificate(&der);
            is_certificates(&pem("CERTIFICATE", &der));
            is_private_key(&pem("PRIVATE KEY", &der));
            is_certificates(&text);
        }
    }
}
