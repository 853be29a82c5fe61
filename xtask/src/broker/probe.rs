//! Is the broker ready? It is when it answers a request for the list of topics with itself as a living broker.
//!
//! A request of the Kafka protocol: Metadata (key 3), version 1, which every broker since 0.10 answers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const METADATA: i16 = 3;
const VERSION: i16 = 1;
const CORRELATION: i32 = 0x0d17_7000;
const MAX_RESPONSE: u32 = 64 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(2);

/// What a broker says about its cluster.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// Brokers that live.
    pub(crate) brokers: i32,
    /// The controller, -1 without one.
    pub(crate) controller: i32,
    /// How many topics there are.
    pub(crate) topics: i32,
}

impl Cluster {
    /// Can topics be made and written?
    pub(crate) fn is_ready(&self) -> bool {
        self.brokers > 0 && self.controller >= 0
    }
}

/// Lists the topics through a PLAINTEXT listener.
///
/// # Errors
/// If nobody listens there, or what answers is not Kafka.
pub(crate) fn list_topics(address: SocketAddr) -> io::Result<Cluster> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(&request())?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = u32::from_be_bytes(size);
    if size > MAX_RESPONSE {
        return Err(invalid("an answer without an end"));
    }
    let mut body = Vec::new();
    stream.take(u64::from(size)).read_to_end(&mut body)?;
    read_response(&mut body.as_slice())
}

/// Header (key, version, correlation id, client id) and body (null: every topic), after their length.
fn request() -> Vec<u8> {
    let client = b"xtask";
    let mut body = Vec::new();
    body.extend(METADATA.to_be_bytes());
    body.extend(VERSION.to_be_bytes());
    body.extend(CORRELATION.to_be_bytes());
    body.extend((client.len() as i16).to_be_bytes());
    body.extend(client);
    body.extend((-1_i32).to_be_bytes());
    let mut request = (body.len() as i32).to_be_bytes().to_vec();
    request.extend(body);
    request
}

/// Correlation id, brokers (id, host, port, rack), controller id, number of topics; the topics themselves are not read.
fn read_response(rest: &mut &[u8]) -> io::Result<Cluster> {
    if i32(rest)? != CORRELATION {
        return Err(invalid("an answer to another question"));
    }
    let brokers = i32(rest)?;
    for _ in 0..brokers {
        i32(rest)?;
        skip_string(rest)?;
        i32(rest)?;
        skip_string(rest)?;
    }
    Ok(Cluster { brokers, controller: i32(rest)?, topics: i32(rest)? })
}

fn i32(rest: &mut &[u8]) -> io::Result<i32> {
    let mut bytes = [0; 4];
    rest.read_exact(&mut bytes)?;
    Ok(i32::from_be_bytes(bytes))
}

/// A text with its length before it; length -1 is no text.
fn skip_string(rest: &mut &[u8]) -> io::Result<()> {
    let mut bytes = [0; 2];
    rest.read_exact(&mut bytes)?;
    let length = usize::try_from(i16::from_be_bytes(bytes)).unwrap_or_default();
    *rest = rest.get(length..).ok_or_else(|| invalid("a text that ends too early"))?;
    Ok(())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::{Cluster, read_response, request};

    fn check(parts: &[&[u8]], expected: Option<Cluster>) {
        assert_eq!(read_response(&mut parts.concat().as_slice()).ok(), expected);
    }

    #[test]
    fn the_request_is_as_the_protocol_says() {
        let expected =
            [&[0, 0, 0, 19, 0, 3, 0, 1, 0x0d, 0x17, 0x70, 0, 0, 5][..], b"xtask", &[0xff, 0xff, 0xff, 0xff]]
                .concat();
        assert_eq!(request(), expected);
    }

    #[test]
    fn one_broker_two_topics() {
        let broker = [&[0, 0, 0, 1, 0, 9][..], b"127.0.0.1", &[0, 0, 0x4a, 0x94, 0xff, 0xff]].concat();
        check(
            &[&[0x0d, 0x17, 0x70, 0, 0, 0, 0, 1], &broker, &[0, 0, 0, 1, 0, 0, 0, 2]],
            Some(Cluster { brokers: 1, controller: 1, topics: 2 }),
        );
    }

    #[test]
    fn no_broker_is_not_ready() {
        let cluster = Cluster { brokers: 0, controller: -1, topics: 0 };
        assert!(!cluster.is_ready());
        check(&[&[0x0d, 0x17, 0x70, 0], &[0; 4], &[0xff; 4], &[0; 4]], Some(cluster));
    }

    #[test]
    fn other_answers_are_refused() {
        check(&[b"HTTP/1.1 400 Bad Request"], None);
        check(&[&[0x0d, 0x17, 0x70, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 0]], None);
        check(&[], None);
    }
}
