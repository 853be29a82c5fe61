//! Records that nobody reads or changes without the key: AES-256-GCM over the definition, bound to all that stands beside it.

use std::sync::Arc;
use std::time::SystemTime;

use aes_gcm::aead::{Aead, Generate, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ditto_connection::Draft;
use ditto_protocol::parse_instant;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Record;

/// Of the records. Another one is not read: who has written it knew more.
const FORMAT: u64 = 1;

/// The key that records are sealed with, and one that they may have been sealed with before.
#[derive(Debug, Clone)]
pub struct StoreKeys {
    current: StoreKey,
    old: Option<StoreKey>,
}

/// A key of 256 bits. Its `Debug` shows its id only.
#[derive(Clone)]
pub struct StoreKey {
    cipher: Aes256Gcm,
    id: String,
}

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key is no base64 of 32 bytes; make one with `openssl rand -base64 32`")]
pub struct KeyError;

/// What a sealed text says.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) record: Record,
    /// Whether it was the old key.
    pub(super) is_old: bool,
}

impl StoreKeys {
    /// With one key.
    pub fn new(current: StoreKey) -> Self {
        Self { current, old: None }
    }

    /// Records that are sealed with `old` are read too, and sealed again with the current one.
    pub fn with_old(self, old: StoreKey) -> Self {
        Self { old: Some(old), ..self }
    }

    /// The record as it is kept.
    pub(super) fn seal(&self, record: &Record) -> Result<Vec<u8>, String> {
        let nonce = Nonce::generate();
        let mut members = Map::new();
        members.insert("format".to_owned(), FORMAT.into());
        members.insert("id".to_owned(), record.connection.id().as_str().into());
        members.insert("revision".to_owned(), record.revision.into());
        members.insert("sequence".to_owned(), record.sequence.into());
        members.insert("created".to_owned(), instant(record.created)?.into());
        members.insert("modified".to_owned(), instant(record.modified)?.into());
        members.insert("key".to_owned(), self.current.id.as_str().into());
        members.insert("nonce".to_owned(), STANDARD.encode(nonce).into());
        let beside = Value::from(members.clone()).to_string();
        let definition = SecretString::from(record.connection.to_json_with_secrets().to_string());
        let payload = Payload { msg: definition.expose_secret().as_bytes(), aad: beside.as_bytes() };
        let sealed =
            self.current.cipher.encrypt(&nonce, payload).map_err(|_| "it cannot be sealed".to_owned())?;
        members.insert("definition".to_owned(), STANDARD.encode(sealed).into());
        Ok(Value::from(members).to_string().into_bytes())
    }

    /// The record of `id`.
    pub(super) fn open(&self, id: &str, sealed: &[u8]) -> Result<Opened, String> {
        const DAMAGED: &str = "it is damaged";
        let mut members: Map<String, Value> = serde_json::from_slice(sealed).map_err(|_| DAMAGED)?;
        if members.get("format").and_then(Value::as_u64) != Some(FORMAT) {
            return Err("its format is not known; it was written by another version".to_owned());
        }
        let definition = members.shift_remove("definition").unwrap_or_default();
        let beside = Value::from(members.clone()).to_string();
        let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("id") != id {
            return Err("it stands in the place of another connection".to_owned());
        }
        let keys = std::iter::once(&self.current).chain(&self.old);
        let Some(key) = keys.into_iter().find(|key| key.id == text("key")) else {
            return Err(format!("key `{}` is not there; give it as the old one", text("key")));
        };
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| DAMAGED);
        let nonce = Nonce::try_from(bytes(text("nonce"))?.as_slice()).map_err(|_| DAMAGED)?;
        let sealed = bytes(definition.as_str().unwrap_or_default())?;
        let payload = Payload { msg: &sealed, aad: beside.as_bytes() };
        let Ok(opened) = key.cipher.decrypt(&nonce, payload) else {
            return Err("it was changed by somebody who does not have the key".to_owned());
        };
        let opened = SecretString::from(String::from_utf8(opened).map_err(|_| DAMAGED)?);
        let connection = Draft::of_command(opened.expose_secret()).read().map_err(|report| {
            let first = report.first_error().map(ToString::to_string).unwrap_or_default();
            format!("this version refuses it: {first}")
        })?;
        let record = Record {
            connection: Arc::new(connection),
            revision: members.get("revision").and_then(Value::as_u64).ok_or(DAMAGED)?,
            sequence: members.get("sequence").and_then(Value::as_u64).ok_or(DAMAGED)?,
            created: parse_instant(text("created")).ok_or(DAMAGED)?,
            modified: parse_instant(text("modified")).ok_or(DAMAGED)?,
        };
        Ok(Opened { record, is_old: key.id != self.current.id })
    }
}

/// The number of the last change of a record that cannot be opened; 0 if that cannot be told either. Nobody vouches for it: it
/// is only counted on from.
pub(super) fn sequence(sealed: &[u8]) -> u64 {
    let members: Map<String, Value> = serde_json::from_slice(sealed).unwrap_or_default();
    members.get("sequence").and_then(Value::as_u64).unwrap_or_default()
}

impl StoreKey {
    /// Reads a key: base64 of 32 bytes.
    ///
    /// # Errors
    /// It is something else.
    pub fn from_base64(text: &SecretString) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text.expose_secret().trim()).map_err(|_| KeyError)?;
        let cipher = Aes256Gcm::new_from_slice(&bytes).map_err(|_| KeyError)?;
        // It says which key it is, and nothing about it.
        let digest =
            Sha256::new().chain_update("ditto-connectivity store key").chain_update(&bytes).finalize();
        let id = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { cipher, id })
    }
}

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreKey").field("id", &self.id).finish_non_exhaustive()
    }
}

fn instant(time: SystemTime) -> Result<String, String> {
    Timestamp::try_from(time).map(|time| time.to_string()).map_err(|error| error.to_string())
}
