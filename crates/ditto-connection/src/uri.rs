//! The `uri` of a connection (connection-model.md §3).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use secrecy::{ExposeSecret, SecretString};

use crate::report::Check;
use crate::secret::{MASK, is_mask};

/// Host, port and credentials of a connection. `Display` shows it with its password masked.
#[derive(Clone)]
pub struct ConnectionUri {
    /// Plain or TLS.
    pub scheme: UriScheme,
    /// Host name, IPv4 address or IPv6 address in brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User and password, decoded.
    pub credentials: Option<Credentials>,
    /// As it was given, but for characters beyond ASCII, which are percent-encoded.
    text: SecretString,
    /// Where the password stands in it, still encoded.
    password: Range<usize>,
    /// Something that nobody looks at follows the port.
    has_rest: bool,
}

/// Whether a connection uses TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UriScheme {
    /// `tcp`
    Tcp,
    /// `ssl`
    Ssl,
}

/// User and password.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password; its `Debug` shows nothing.
    pub password: SecretString,
}

/// What is wrong with a uri, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UriError {
    pub(crate) check: Check,
    pub(crate) reason: String,
    pub(crate) remedy: &'static str,
}

const ENCODE: &str = "write @ / # ? blank { } and % in user and password as %40 %2F %23 %3F %20 %7B %7D %25";
const SCHEMES: &str = "write tcp://host:port or ssl://host:port, in lower case";
const HOST: &str = "host names have letters, digits, - and . only";
const PORT: &str = "write the port after the host: tcp://host:9092";

impl ConnectionUri {
    /// `host:port`
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Whether something follows the port that has no effect.
    pub(crate) fn has_rest(&self) -> bool {
        self.has_rest
    }

    /// As it is stored, with its password.
    pub(crate) fn text_with_secrets(&self) -> &str {
        self.text.expose_secret()
    }

    /// Whether the mask of an answer stands for the password.
    pub(crate) fn is_masked(&self) -> bool {
        self.credentials.as_ref().is_some_and(|it| is_mask(&it.password))
    }

    /// This uri with the password of another one; `None` if one of them has none.
    pub(crate) fn with_password_of(&self, other: &Self) -> Option<Self> {
        let password = other.text_with_secrets().get(other.password.clone()).filter(|it| !it.is_empty())?;
        let text = self.with_password(password)?;
        Self::parse(&text).ok()
    }

    /// The text with something else in place of the password; `None` without credentials.
    fn with_password(&self, password: &str) -> Option<String> {
        self.credentials.as_ref()?;
        let text = self.text_with_secrets();
        let (before, after) = (text.get(..self.password.start)?, text.get(self.password.end..)?);
        Some(format!("{before}{password}{after}"))
    }

    /// By the rules of `java.net.URI` for an authority with a server. A blank uri and a foreign scheme the reference finds
    /// later than all other mistakes.
    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        if text.bytes().all(|byte| byte <= b' ') {
            return Err(UriError { check: Check::Scheme, reason: "it is empty".to_owned(), remedy: SCHEMES });
        }
        let text = ascii(text)?;
        let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
            return error("it has no scheme", SCHEMES);
        };
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        if rest.contains('?') {
            return error("it has a query", "leave the query out; write ? in a password as %3F");
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user_info, host_port) = match authority.rsplit_once('@') {
            Some((user_info, host_port)) => (Some(user_info), host_port),
            None => (None, authority),
        };
        let Some((host, port)) = host_port.rsplit_once(':') else {
            return error("it has no port", PORT);
        };
        if !is_host(host) {
            return error("its host is no host name or address", HOST);
        }
        let Some(port) = port_of(port) else {
            return error("its port is no number from 1 to 65535", PORT);
        };
        if !is_legal(path, b"/;:@&=+$,") || !is_legal(fragment, b"/?;:@&=+$,[]") {
            return error("it has a character that a uri cannot have behind the port", "encode it with %");
        }
        if user_info.is_none() && (path.contains('@') || fragment.contains('@')) {
            // The reference takes it for a part of the path, and logs in as nobody (docs/differences.md).
            return error("its credentials are cut off by a raw / or #", ENCODE);
        }
        let (credentials, password) = match user_info {
            None => (None, 0..0),
            Some(user_info) => credentials(user_info, scheme.len() + "://".len())?,
        };
        let scheme = match scheme {
            "tcp" => UriScheme::Tcp,
            "ssl" => UriScheme::Ssl,
            other => {
                let reason = format!("its scheme `{other}` is neither tcp nor ssl");
                return Err(UriError { check: Check::Scheme, reason, remedy: SCHEMES });
            }
        };
        let host = host.to_owned();
        let has_rest = !path.trim_end_matches('/').is_empty() || !fragment.is_empty();
        Ok(Self { scheme, host, port, credentials, text: text.into(), password, has_rest })
    }
}

/// The password masked, everything else as it is stored.
impl fmt::Display for ConnectionUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.with_password(MASK) {
            Some(masked) => f.write_str(&masked),
            None => f.write_str(self.text_with_secrets()),
        }
    }
}

impl fmt::Debug for ConnectionUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConnectionUri").field(&self.to_string()).finish()
    }
}

fn error<T>(reason: &str, remedy: &'static str) -> Result<T, UriError> {
    Err(UriError { check: Check::Uri, reason: reason.to_owned(), remedy })
}

/// Characters beyond ASCII as the reference stores them: their UTF-8 percent-encoded.
fn ascii(text: &str) -> Result<String, UriError> {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            encoded.push(c);
        } else if c.is_control() || c.is_whitespace() {
            return error("it has a character that a uri cannot have", ENCODE);
        } else {
            let mut bytes = [0; 4];
            encoded.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")));
        }
    }
    Ok(encoded)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// An address, or a name of labels; the last of several begins with a letter.
fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(|it| it.parse::<Ipv6Addr>().is_ok());
    }
    if text.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let labels: Vec<&str> = text.strip_suffix('.').unwrap_or(text).split('.').collect();
    let is_label = |label: &&str| {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_legal) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_top = |label: &&str| labels.len() == 1 || label.starts_with(|c: char| c.is_ascii_alphabetic());
    labels.iter().all(is_label) && labels.last().is_some_and(is_top)
}

/// A port as it is written in addresses: digits only.
pub(crate) fn port_of(text: &str) -> Option<u16> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_digits && *port > 0)
}

/// User and password of the text before the `@`, and where the password stands in the uri.
fn credentials(user_info: &str, at: usize) -> Result<(Option<Credentials>, Range<usize>), UriError> {
    match user_info.split_once(':') {
        Some((user, password)) if !user.is_empty() && !password.is_empty() => {
            let start = at + user.len() + 1;
            let range = start..start + password.len();
            let credentials = Credentials { username: decode(user)?, password: decode(password)?.into() };
            Ok((Some(credentials), range))
        }
        // The reference silently connects without credentials, or with an empty half (docs/differences.md).
        _ => error("it has half of the credentials only", "write user:password@ before the host, or nothing"),
    }
}

/// Whether all bytes may stand in a uri: the unreserved ones, `others`, and escapes.
fn is_legal(text: &str, others: &[u8]) -> bool {
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => match rest.split_at_checked(2) {
                Some((digits, after)) if digits.iter().all(u8::is_ascii_hexdigit) => rest = after,
                _ => return false,
            },
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => {}
            byte if byte.is_ascii_alphanumeric() || others.contains(&byte) => {}
            _ => return false,
        }
    }
    true
}

/// One percent decoding; raw characters that a uri cannot have are refused.
fn decode(text: &str) -> Result<String, UriError> {
    if !is_legal(text, b";:&=+$,") {
        return error(
            "its credentials have a character that a uri cannot have, or a % without two hexadecimal digits",
            ENCODE,
        );
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digits = rest.split_at_checked(2).filter(|_| byte == b'%');
        let decoded = digits.and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = decoded.unwrap_or((byte, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).or_else(|_| error("its credentials are not utf-8 after decoding", ENCODE))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str), &str>) {
        let parsed = ConnectionUri::parse(text).map(|uri| {
            let password = uri.credentials.as_ref().map(|c| c.password.expose_secret().to_owned());
            (uri.to_string(), password.unwrap_or_default())
        });
        let parsed = parsed.as_ref().map(|(uri, password)| (uri.as_str(), password.as_str()));
        assert_eq!(parsed.map_err(|error| error.reason.as_str()), expected, "{text}");
    }

    const ILLEGAL: &str =
        "its credentials have a character that a uri cannot have, or a % without two hexadecimal digits";

    #[test]
    fn credentials_are_decoded_once() {
        check("tcp://user:p%40ss%3Aword@kafka:9092", Ok(("tcp://user:*****@kafka:9092", "p@ss:word")));
        check("tcp://u:a:b+c@[::1]:1/path", Ok(("tcp://u:*****@[::1]:1/path", "a:b+c")));
        check("tcp://ü:p%2540@h:1#f", Ok(("tcp://%C3%BC:*****@h:1#f", "p%40")));
        check("tcp://u:!$&'()*,;=+~@h:1", Ok(("tcp://u:*****@h:1", "!$&'()*,;=+~")));
        for text in ["tcp://alice@h:1", "tcp://alice:@h:1", "tcp://:pw@h:1", "tcp://@h:1"] {
            check(text, Err("it has half of the credentials only"));
        }
        for text in
            ["tcp://a:b%zz@h:1", "tcp://a:b%+1@h:1", "tcp://a:b c@h:1", "tcp://a:{b}@h:1", "tcp://a:b@c@h:1"]
        {
            check(text, Err(ILLEGAL));
        }
        check("tcp://a:%ff@h:1", Err("its credentials are not utf-8 after decoding"));
        check("tcp://a:9/b@h:1", Err("its credentials are cut off by a raw / or #"));
        check("tcp://a:9#b@h:1", Err("its credentials are cut off by a raw / or #"));
        check("tcp://a:b?c@h:1", Err("it has a query"));
    }

    #[test]
    fn hosts_and_ports_are_java_s() {
        for text in [
            "tcp://h:1",
            "tcp://h.:1",
            "tcp://127.0.0.1:65535",
            "tcp://a-b.c1:1",
            "tcp://1:1",
            "ssl://[::1]:1",
        ] {
            check(text, Ok((text, "")));
        }
        for text in [
            "tcp://h_x:1",
            "tcp://[]:1",
            "tcp://-a:1",
            "tcp://a..b:1",
            "tcp://a.1:1",
            "tcp://ä:1",
            "tcp://:1",
        ] {
            check(text, Err("its host is no host name or address"));
        }
        for text in ["tcp://h:+1", "tcp://h:0", "tcp://h:", "tcp://h:65536"] {
            check(text, Err("its port is no number from 1 to 65535"));
        }
        check("tcp://h", Err("it has no port"));
        check(" tcp://h:1", Err("it has no scheme"));
        check("127.0.0.1:9092", Err("it has no scheme"));
        check("TCP://h:1", Err("its scheme `TCP` is neither tcp nor ssl"));
        check(" ", Err("it is empty"));
    }

    #[test]
    fn a_password_is_put_in_for_the_mask() {
        let stored = ConnectionUri::parse("tcp://u:p%40ss@h:1").unwrap();
        let masked = ConnectionUri::parse("ssl://v:*****@i:2/x").unwrap();
        assert!(masked.is_masked());
        let uri = masked.with_password_of(&stored).unwrap();
        assert_eq!(uri.text_with_secrets(), "ssl://v:p%40ss@i:2/x");
        assert!(masked.with_password_of(&ConnectionUri::parse("tcp://h:1").unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*|(tcp|ssl)://[a-zä:@%0-9/?#\\[\\].]*") {
            if let Ok(uri) = ConnectionUri::parse(&text) {
                let again = ConnectionUri::parse(uri.text_with_secrets()).unwrap();
                prop_assert_eq!(again.text_with_secrets(), uri.text_with_secrets());
            }
        }
    }
}
