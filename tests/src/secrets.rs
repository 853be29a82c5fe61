//! Secrets of tests. All have a mark, by which they are found where they must not be: in what the program logs and prints, in
//! answers, in records, and in files that it writes.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use anyhow::{bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use regex::bytes::{Regex, RegexBuilder};

/// What every secret of a test holds. It is nowhere else.
pub const MARK: &str = "CanaryBird7";

/// The variable that sets what the program logs in tests, as `RUST_LOG` does: `trace` has everything that may hold a secret.
pub const LOG_VARIABLE: &str = "DITTO_TEST_LOG";

/// A secret of that name.
#[must_use]
pub fn secret(name: &str) -> String {
    format!("{MARK}-{name}")
}

/// A key for a store, as a configuration has it.
#[must_use]
pub fn store_key() -> String {
    BASE64.encode(format!("{MARK:a<32}"))
}

/// Texts that must not be found, in all the forms in which they might be written.
#[derive(Debug)]
pub struct Secrets(Regex);

impl Secrets {
    /// All that have the mark.
    #[must_use]
    pub fn marked() -> &'static Self {
        static MARKED: LazyLock<Secrets> = LazyLock::new(|| Secrets::of(&[MARK]));
        &MARKED
    }

    /// These: each has at least eight bytes.
    #[must_use]
    #[expect(clippy::expect_used, reason = "texts that are escaped make a pattern")]
    pub fn of(texts: &[&str]) -> Self {
        let mut forms: Vec<String> = texts.iter().flat_map(|text| forms(text.as_bytes())).collect();
        forms.sort();
        forms.dedup();
        let pattern: Vec<_> = forms.iter().map(|form| regex::escape(form)).collect();
        // `$^` finds nothing.
        let pattern = if pattern.is_empty() { "$^".to_owned() } else { pattern.join("|") };
        Self(RegexBuilder::new(&pattern).unicode(false).size_limit(64 << 20).build().expect("a pattern"))
    }

    /// Fails if one of them is in these bytes.
    ///
    /// # Errors
    /// It is; what stands around it is a part of the error.
    pub fn ensure_none_in(&self, what: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let Some(found) = self.0.find(bytes) else { return Ok(()) };
        let around = found.start().saturating_sub(300)..bytes.len().min(found.end() + 300);
        let around = String::from_utf8_lossy(bytes.get(around).unwrap_or_default()).into_owned();
        let form = String::from_utf8_lossy(found.as_bytes()).into_owned();
        bail!("a secret (`{form}`) is in {what}: …{around}…")
    }

    /// The same of each file in a folder and below, but of those that `skip` names.
    ///
    /// # Errors
    /// As [`Self::ensure_none_in`]; or the folder cannot be read.
    pub fn ensure_none_below(&self, folder: &Path, skip: &dyn Fn(&Path) -> bool) -> anyhow::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.ensure_none_below(&path, skip)?;
            } else if path.is_file() && !skip(&path) {
                self.ensure_none_in(&path.display().to_string(), &fs::read(&path)?)?;
            }
        }
        Ok(())
    }
}

/// As it is, in small letters, percent-encoded, as hexadecimal and decimal numbers, and in Base64 wherever in a longer text it begins.
fn forms(text: &[u8]) -> Vec<String> {
    let numbers = |before: &str, form: &dyn Fn(u8) -> String, between: &str| {
        let numbers: Vec<_> = text.iter().map(|byte| format!("{before}{}", form(*byte))).collect();
        numbers.join(between)
    };
    let plain = String::from_utf8_lossy(text).into_owned();
    let mut percent = String::new();
    for byte in text {
        // As a uri has what it must not have as it is.
        let is_kept = byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        let _ =
            if is_kept { write!(percent, "{}", char::from(*byte)) } else { write!(percent, "%{byte:02X}") };
    }
    let mut forms = vec![
        plain.to_ascii_lowercase(),
        format!("{plain:?}").trim_matches('"').to_owned(),
        percent.to_ascii_lowercase(),
        percent,
        plain,
        numbers("%", &|byte| format!("{byte:02X}"), ""),
        numbers("%", &|byte| format!("{byte:02x}"), ""),
        numbers("", &|byte| format!("{byte:02x}"), ""),
        numbers("", &|byte| format!("{byte:02X}"), ""),
        numbers("", &|byte| format!("{byte:02x}"), " "),
        numbers("", &|byte| byte.to_string(), ", "),
        numbers("", &|byte| byte.to_string(), ","),
    ];
    for before in 0..3_usize {
        // Only the groups of three bytes that are wholly its own.
        let own = text.get((3 - before) % 3..).unwrap_or_default();
        let own = own.get(..own.len() / 3 * 3).unwrap_or_default();
        forms.extend([STANDARD_NO_PAD.encode(own), URL_SAFE_NO_PAD.encode(own)]);
    }
    forms
}

/// Fails if a marked secret is in these bytes.
///
/// # Errors
/// As [`Secrets::ensure_none_in`].
pub fn ensure_none_in(what: &str, bytes: &[u8]) -> anyhow::Result<()> {
    Secrets::marked().ensure_none_in(what, bytes)
}

/// Fails unless a secret has the mark.
///
/// # Errors
/// It has none.
pub fn ensure_marked(secret: &str) -> anyhow::Result<()> {
    ensure!(secret.contains(MARK), "a secret of tests has no mark: nobody would find it");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secret = secret("ü/@");
        let found = |text: &str| ensure_none_in("a text", text.as_bytes()).is_err();
        for before in ["", "u", "us", "user", "user:"] {
            assert!(found(&format!("Basic {}", BASE64.encode(format!("{before}{secret}")))), "{before}");
        }
        assert!(found(&store_key()));
        assert!(found(&format!("tcp://u:{secret}@h:1")));
        assert!(found(&format!("{:?}", secret.as_bytes())));
        assert!(found(&secret.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>()));
        assert!(found(&secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()));
        assert!(!found("Canary Bird 7") && !found(""));
        assert!(ensure_marked(&secret).is_ok() && ensure_marked("other").is_err());
    }

    #[test]
    fn others_are_found_beside_what_has_to_be_escaped() {
        let secrets = Secrets::of(&["pass\"word/ü"]);
        for text in ["pass\"word/ü", "pass\\\"word/ü", "pass%22word%2F%C3%BC", "cGFzcyJ3b3JkL8O8"] {
            assert!(secrets.ensure_none_in("a text", text.as_bytes()).is_err(), "{text}");
        }
        assert!(secrets.ensure_none_in("a text", b"password").is_ok());
        assert!(Secrets::of(&[]).ensure_none_in("a text", b"anything").is_ok());
    }
}
