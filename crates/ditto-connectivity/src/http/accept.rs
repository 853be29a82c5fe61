//! The accept loop: axum's own sets no time-out on request heads, and no bound on connections.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::seats::{NoSeat, Seat, Seats};
use super::timed::Timed;

/// What a connection may do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections at a time.
    pub(super) connections: usize,
    /// A request's head must be there in this time, and the next request's, too.
    pub(super) head: Duration,
    /// Nothing of an answer may be taken for so long.
    pub(super) write: Duration,
    /// How long requests may still take once the service is told to stop.
    pub(super) grace: Duration,
}

/// Of all headers and the request line together; each is bounded further.
const MAX_HEAD: usize = 64 << 10;
/// As the reference has it.
const MAX_HEADERS: usize = 64;
/// What is said to those that find no place. There is nobody to hear more.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
/// The system has no more sockets: it may, once some have ended.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop`. `answer` is called for each request with where it came from.
pub(super) async fn serve<A, F>(listener: TcpListener, bounds: Bounds, stop: CancellationToken, answer: A)
where
    A: Fn(SocketAddr, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let seats = Seats::new(bounds.connections);
    let mut connections = JoinSet::new();
    'accepting: loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if is_of_system(&error) {
                    warn!(%error, "no connection accepted");
                    seats.clear_one();
                    tokio::time::sleep(PAUSE).await;
                }
                continue;
            }
        };
        let seat = loop {
            match seats.take(Instant::now()) {
                Ok(seat) => break seat,
                // Those behind it wait in the system's queue.
                Err(NoSeat::Young(pause)) => tokio::select! {
                    () = stop.cancelled() => break 'accepting,
                    () = tokio::time::sleep(pause) => {}
                },
                Err(NoSeat::Busy) => {
                    debug!(%from, "connection refused: all others work on requests");
                    let _sent = stream.try_write(FULL);
                    continue 'accepting;
                }
            }
        };
        connections.spawn(connection(stream, from, seat, bounds, stop.clone(), answer.clone()));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection<A, F>(
    stream: TcpStream,
    from: SocketAddr,
    seat: Seat,
    bounds: Bounds,
    stop: CancellationToken,
    answer: A,
) where
    A: Fn(SocketAddr, Request<Incoming>) -> F,
    F: Future<Output = Response>,
{
    let _slow = stream.set_nodelay(true);
    let cleared = seat.cleared();
    let service = service_fn(|request| {
        let working = seat.work();
        let answered = answer(from, request);
        async move {
            let response = answered.await;
            drop(working);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .max_buf_size(2 * MAX_HEAD);
    let io = TokioIo::new(Timed::new(stream, bounds.write));
    let mut served = pin!(builder.serve_connection(io, service));
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = cleared.cancelled() => return,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            tokio::time::timeout(bounds.grace, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!(%from, %error, "connection ended");
    }
}

/// Whether the system, and not the other side, is why there is no connection.
fn is_of_system(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
