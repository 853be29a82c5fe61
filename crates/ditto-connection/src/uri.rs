//! The `uri` of a connection (connection-model.md §3).

use std::fmt;
use std::net::Ipv6Addr;

use secrecy::SecretString;

/// Host, port and credentials of a connection.
#[derive(Debug, Clone)]
pub struct ConnectionUri {
    /// Plain or TLS.
    pub scheme: UriScheme,
    /// Host name, IPv4 address or IPv6 address in brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User and password, decoded.
    pub credentials: Option<Credentials>,
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
    pub(crate) reason: String,
    pub(crate) remedy: &'static str,
}

impl ConnectionUri {
    /// `host:port`
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        let error = |reason: &str, remedy| Err(UriError { reason: reason.to_owned(), remedy });
        let Some((scheme, rest)) = text.split_once("://") else {
            return error("it has no scheme", "write tcp://host:port or ssl://host:port");
        };
        let scheme = match scheme {
            "tcp" => UriScheme::Tcp,
            "ssl" => UriScheme::Ssl,
            _ => {
                return error(
                    "its scheme is neither tcp nor ssl",
                    "write tcp://host:port or ssl://host:port, in lower case",
                );
            }
        };
        let authority = rest.split('/').next().unwrap_or_default();
        if rest.contains('?') || authority.contains('#') {
            return error(
                "it has a query or a `#`",
                "leave the query out; write # in a password as %23 and ? as %3F",
            );
        }
        let (user_info, host_port) = match authority.rsplit_once('@') {
            Some((user_info, host_port)) => (Some(user_info), host_port),
            None => (None, authority),
        };
        let Some((host, port)) = host_port.rsplit_once(':') else {
            return error("it has no port", "write the port after the host: tcp://host:9092");
        };
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bracketed {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
            }
        };
        if !is_host {
            return error(
                "its host is no host name or address",
                "host names have letters, digits, - and . only",
            );
        }
        let Some(port) = port_of(port) else {
            return error(
                "its port is no number from 1 to 65535",
                "write the port after the host: tcp://host:9092",
            );
        };
        let credentials = match user_info {
            None => None,
            Some(user_info) => match user_info.split_once(':') {
                Some((user, password)) if !user.is_empty() && !password.is_empty() => {
                    Some(Credentials { username: decode(user)?, password: decode(password)?.into() })
                }
                // The reference silently connects without credentials, or with an empty half (docs/differences.md).
                _ => {
                    return error(
                        "it has half of the credentials only",
                        "write user:password@ before the host, or nothing",
                    );
                }
            },
        };
        Ok(Self { scheme, host: host.to_owned(), port, credentials })
    }
}

/// A port as it is written in addresses: digits only.
pub(crate) fn port_of(text: &str) -> Option<u16> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_digits && *port > 0)
}

/// One percent decoding; raw characters that a uri cannot have are refused.
fn decode(text: &str) -> Result<String, UriError> {
    let error = |reason: &str| UriError {
        reason: reason.to_owned(),
        remedy: "write @ / # ? blank { } and % in user and password as %40 %2F %23 %3F %20 %7B %7D %25",
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let Some((digits, after)) = rest.split_at_checked(2) else {
                    return Err(error("its credentials have an incomplete %"));
                };
                // `from_str_radix` alone would take a sign for a digit.
                let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
                let digits = std::str::from_utf8(digits).unwrap_or_default();
                let Some(decoded) = u8::from_str_radix(digits, 16).ok().filter(|_| is_hex) else {
                    return Err(error("its credentials have a % without two hexadecimal digits"));
                };
                bytes.push(decoded);
                rest = after;
            }
            b'@' | b' ' | b'{' | b'}' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'|' | 0..0x20 | 0x7f => {
                return Err(error("its credentials have a character that a uri cannot have"));
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| error("its credentials are not utf-8 after decoding"))
}

/// The uri with the password masked.
impl fmt::Display for ConnectionUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            UriScheme::Tcp => "tcp",
            UriScheme::Ssl => "ssl",
        };
        match &self.credentials {
            Some(credentials) => {
                write!(f, "{scheme}://{}:*****@{}:{}", credentials.username, self.host, self.port)
            }
            None => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

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

    #[test]
    fn credentials_are_decoded_once() {
        check("tcp://user:p%40ss%3Aword@kafka:9092", Ok(("tcp://user:*****@kafka:9092", "p@ss:word")));
        check("tcp://u:a:b+c@[::1]:1/path", Ok(("tcp://u:*****@[::1]:1", "a:b+c")));
        check("tcp://alice@h:1", Err("it has half of the credentials only"));
        check("tcp://alice:@h:1", Err("it has half of the credentials only"));
        check("tcp://a:b%zz@h:1", Err("its credentials have a % without two hexadecimal digits"));
        check("tcp://a:b%+1@h:1", Err("its credentials have a % without two hexadecimal digits"));
        check("TCP://h:1", Err("its scheme is neither tcp nor ssl"));
        check("tcp://h", Err("it has no port"));
        check("tcp://h_x:1", Err("its host is no host name or address"));
        check("tcp://[]:1", Err("its host is no host name or address"));
        check("tcp://h:+1", Err("its port is no number from 1 to 65535"));
        check("tcp://h:0", Err("its port is no number from 1 to 65535"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*|(tcp|ssl)://[a-z:@%0-9/?]*") {
            let _ = ConnectionUri::parse(&text);
        }
    }
}
