//! A TCP proxy between clients and the broker that makes trouble when it is told to, and counts whom it has hit.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

/// What the proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Forwards.
    Pass,
    /// Forwards each chunk so much later.
    Delay(Duration),
    /// Forwards so many bytes a second, per connection and way.
    Limit(u32),
    /// Resets (RST) every connection on both sides, and each new one.
    Reset,
    /// Closes every connection (FIN), and each new one, as a broker that shuts down.
    Refuse,
    /// Connections stay open and nothing comes through. What was held back goes on when the mode ends, as TCP does it.
    Blackhole(Ways),
}

/// The ways that a blackhole swallows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// From the client to the broker, and back.
    Both,
    /// What clients ask does not arrive.
    ToBroker,
    /// What the broker answers does not arrive.
    ToClient,
}

/// What happened while a mode was on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections that were open when the mode began.
    pub live: usize,
    /// Connections that clients have opened since.
    pub opened: usize,
    /// Connections, old or new, that the proxy has reset or closed.
    pub cut: usize,
    /// Bytes that came from clients. In a blackhole they are withheld; so below.
    pub from_clients: u64,
    /// Bytes that came from the broker.
    pub from_broker: u64,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    present: watch::Sender<Arc<Period>>,
    live: Arc<AtomicUsize>,
    /// Its one thread carries all connections, and they end with it.
    _runtime: Runtime,
}

/// The time in which a mode is on.
#[derive(Debug)]
struct Period {
    mode: Mode,
    live: usize,
    opened: AtomicUsize,
    cut: AtomicUsize,
    from_clients: AtomicU64,
    from_broker: AtomicU64,
}

/// Where a chunk comes from.
#[derive(Debug, Clone, Copy)]
enum Side {
    Client,
    Broker,
}

const CHUNK: usize = 16 << 10;
/// Chunks of a connection that are under way, for each way: a delay is no bandwidth limit.
const UNDER_WAY: usize = 64;
/// How long a port that was free may be another's: each client takes one for a moment.
const PATIENCE: Duration = Duration::from_secs(10);

impl Proxy {
    /// Listens at `address`, and forwards to `broker`.
    ///
    /// # Errors
    /// The addresses are none, or the port stays taken.
    pub fn start(address: &str, broker: &str) -> anyhow::Result<Self> {
        let broker: SocketAddr = broker.parse().context("the broker's address")?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let start = Instant::now();
        let listener = loop {
            match runtime.block_on(TcpListener::bind(address)) {
                Ok(listener) => break listener,
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && start.elapsed() < PATIENCE => {
                    thread::sleep(Duration::from_millis(100));
                }
                Err(error) => return Err(error).with_context(|| format!("cannot listen at {address}")),
            }
        };
        let (present, following) = watch::channel(Arc::new(Period::new(Mode::Pass, 0)));
        let (address, live) = (listener.local_addr()?, Arc::new(AtomicUsize::new(0)));
        runtime.spawn(accept(listener, broker, following, Arc::clone(&live)));
        Ok(Self { address, present, live, _runtime: runtime })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the present mode and begins another. What happened in the one that ended.
    pub fn switch(&self, mode: Mode) -> Counts {
        let next = Period::new(mode, self.live.load(Ordering::Acquire));
        self.present.send_replace(Arc::new(next)).counts()
    }

    /// What has happened in the present mode so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.present.borrow().counts()
    }
}

impl Period {
    fn new(mode: Mode, live: usize) -> Self {
        let (opened, cut) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { mode, live, opened, cut, from_clients: AtomicU64::new(0), from_broker: AtomicU64::new(0) }
    }

    fn counts(&self) -> Counts {
        Counts {
            live: self.live,
            opened: self.opened.load(Ordering::Relaxed),
            cut: self.cut.load(Ordering::Relaxed),
            from_clients: self.from_clients.load(Ordering::Relaxed),
            from_broker: self.from_broker.load(Ordering::Relaxed),
        }
    }

    fn cuts(&self) -> bool {
        matches!(self.mode, Mode::Reset | Mode::Refuse)
    }

    /// Ends a connection on this side: with RST, or with FIN when it is dropped.
    fn cut(&self, side: &TcpStream) {
        if self.mode == Mode::Reset {
            // A socket that cannot be set is gone already.
            let _gone = side.set_zero_linger();
        }
    }
}

impl Ways {
    fn swallow(self, from: Side) -> bool {
        match from {
            Side::Client => self != Self::ToClient,
            Side::Broker => self != Self::ToBroker,
        }
    }
}

type Following = watch::Receiver<Arc<Period>>;

async fn accept(listener: TcpListener, broker: SocketAddr, present: Following, live: Arc<AtomicUsize>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let period = Arc::clone(&present.borrow());
        period.opened.fetch_add(1, Ordering::Relaxed);
        if period.cuts() {
            period.cut(&client);
            period.cut.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let (present, live) = (present.clone(), Arc::clone(&live));
        tokio::spawn(async move {
            live.fetch_add(1, Ordering::AcqRel);
            // An end of either side, or a broker that is not there: the other side learns of it as the sockets close.
            let _ended = carry(client, broker, present).await;
            live.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

/// One connection, until both sides are done or it is cut.
async fn carry(mut client: TcpStream, broker: SocketAddr, mut present: Following) -> io::Result<()> {
    let mut server = TcpStream::connect(broker).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (followed, back) = (present.clone(), present.clone());
    let cut = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        tokio::select! {
            ended = async {
                tokio::try_join!(
                    pump(Side::Client, from_client, to_server, followed),
                    pump(Side::Broker, from_server, to_client, back),
                )
            } => return ended.map(|_| ()),
            period = present.wait_for(|period| period.cuts()) => period.map(|period| Arc::clone(&period)),
        }
    };
    if let Ok(period) = cut {
        period.cut(&client);
        period.cut(&server);
        period.cut.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// One way of a connection. An empty chunk is its end, and waits its turn like any other.
async fn pump(
    from: Side,
    mut reader: ReadHalf<'_>,
    mut writer: WriteHalf<'_>,
    mut present: Following,
) -> io::Result<()> {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let period = present.clone();
    let reading = async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = reader.read(&mut chunk).await.unwrap_or_default();
            chunk.truncate(read);
            period.borrow().bytes(from).fetch_add(read as u64, Ordering::Relaxed);
            if sender.send((Instant::now(), chunk)).await.is_err() || read == 0 {
                return Ok(());
            }
        }
    };
    let writing = async {
        while let Some((came, chunk)) = chunks.recv().await {
            pass(from, came, chunk.len(), &mut present).await;
            if chunk.is_empty() {
                return writer.shutdown().await;
            }
            writer.write_all(&chunk).await?;
        }
        Ok(())
    };
    tokio::try_join!(reading, writing).map(|_| ())
}

impl Period {
    fn bytes(&self, from: Side) -> &AtomicU64 {
        match from {
            Side::Client => &self.from_clients,
            Side::Broker => &self.from_broker,
        }
    }
}

/// Waits until a chunk may go on.
async fn pass(from: Side, came: Instant, bytes: usize, present: &mut Following) {
    loop {
        let mode = present.borrow_and_update().mode;
        match mode {
            Mode::Blackhole(ways) if ways.swallow(from) => {
                if present.changed().await.is_err() {
                    return;
                }
            }
            Mode::Delay(by) => return tokio::time::sleep_until((came + by).into()).await,
            Mode::Limit(rate) => {
                return tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / f64::from(rate.max(1))))
                    .await;
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests;
