//! A client of the management API, as plain as a client can be.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::secrets;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Names in lower case, and values, in their order.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// An answer takes longer only if it hangs.
const LIMIT: Duration = Duration::from_secs(90);

impl Answer {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as a text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Reads an answer of a connection that ends with it.
    ///
    /// # Errors
    /// It is none, or a marked secret is in it.
    pub fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        secrets::ensure_none_in("an answer", bytes)?;
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").context("an answer without a head")?;
        let head = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?.parse()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let body = bytes.get(end + 4..).unwrap_or_default().to_vec();
        let answer = Self { status, headers: lines.filter_map(header).collect(), body };
        let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
        ensure!(
            length.is_none_or(|length| answer.body.is_empty() || length == answer.body.len()),
            "an answer is cut"
        );
        Ok(answer)
    }
}

/// The value of a header that logs in.
#[must_use]
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
}

/// Sends a request on a connection of its own, and waits for the answer.
///
/// # Errors
/// The connection fails, or there is no answer.
pub fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: Option<&[u8]>,
) -> anyhow::Result<Answer> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body.unwrap_or_default());
    send(address, &bytes)
}

/// Sends bytes as they are, and reads what comes until the connection ends.
///
/// # Errors
/// The connection fails, or there is no answer.
pub fn send(address: &str, bytes: &[u8]) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    // Who does not want the rest may end the connection before all of it was sent.
    let _sent = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _end = stream.read_to_end(&mut answer);
    Answer::read(&answer)
}
