//! What an attacker sends to the management API of a service that runs. All the while somebody who is let in is answered,
//! signals go their way, and memory stays bounded.

#![expect(clippy::print_stdout, reason = "figures of a test")]

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ditto_tests::api::{Api, password};
use ditto_tests::broker::Broker;
use ditto_tests::http;
use ditto_tests::secrets::{LOG_VARIABLE, secret};
use ditto_tests::service::{Service, Setup, definition, event};
use ditto_tests::topics::Written;
use serde_json::json;

use super::management::start;

/// How much more memory the service may have, whatever is sent. One check of a password takes 19 MiB of it.
const MAX_GROWTH: u64 = 96 << 20;
/// Sockets that do nothing.
const IDLE: usize = 10_000;
/// Nobody waits so long for an answer.
const LIMIT: Duration = Duration::from_secs(60);

/// A service with a connection that publishes, somebody who asks for it all the while, and signals for it.
pub(super) struct Scene {
    broker: Broker,
    service: Service,
    setup: Setup,
    pub(super) api: Api,
    name: &'static str,
    before: u64,
    stop: Arc<AtomicBool>,
    client: Option<JoinHandle<anyhow::Result<(usize, Duration)>>>,
    written: Arc<AtomicUsize>,
    feed: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Scene {
    pub(super) fn start(name: &'static str) -> anyhow::Result<Self> {
        let broker = Broker::of_this_run()?;
        let more = format!("status_password_hash = '{}'", hash("status")?);
        let (setup, service, api) = start(&broker, name, &more)?;
        let out = format!("{name}-out");
        broker.create_topic(&out, 1, &[])?;
        let target = json!([{"address": out, "topics": ["_/_/things/twin/events"], "authorizationContext": ["integ:reader"]}]);
        let connection = definition("c", &broker.listeners.plaintext, &target);
        ensure!(api.ask("PUT", "/api/2/connections/c", Some(&connection))?.status == 201);
        broker.write(name, [Written::of(event("thing", 0, &json!({})))])?;
        broker.wait_for(&out, 1)?;
        let before = service.memory()?;
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicUsize::new(1));
        let client = {
            let (api, stop) = (api.clone(), stop.clone());
            thread::spawn(move || {
                let (mut answered, mut longest) = (0, Duration::ZERO);
                while !stop.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    let answer = api.ask("GET", "/api/2/connections/c/status", None)?;
                    ensure!(answer.status == 200, "who is let in is answered with {}", answer.status);
                    longest = longest.max(start.elapsed());
                    answered += 1;
                    thread::sleep(Duration::from_millis(20));
                }
                Ok((answered, longest))
            })
        };
        let feed = {
            let (broker, stop, written) = (broker.clone(), stop.clone(), written.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let n = written.load(Ordering::Relaxed);
                    broker.write(name, (n..n + 10).map(|n| Written::of(event("thing", n, &json!({})))))?;
                    written.fetch_add(10, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(50));
                }
                Ok(())
            })
        };
        let (client, feed) = (Some(client), Some(feed));
        Ok(Self { broker, service, setup, api, name, before, stop, client, written, feed })
    }

    /// How much memory the service has more than before; it must be bounded.
    pub(super) fn ensure_bounded(&self, after: &str) -> anyhow::Result<()> {
        let grown = self.service.memory()?.saturating_sub(self.before) >> 10;
        println!("after {after}: {} KiB, {grown} KiB more than before", self.before >> 10);
        // At the trace level the log has its own buffers.
        ensure!(
            grown << 10 < MAX_GROWTH || std::env::var_os(LOG_VARIABLE).is_some(),
            "{grown} KiB more after {after}"
        );
        Ok(())
    }

    /// All signals have come out, and the one who asked was always answered.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let panicked = |_| anyhow::anyhow!("a thread panicked");
        let (answered, longest) = self.client.take().context("no client")?.join().map_err(panicked)??;
        self.feed.take().context("no feed")?.join().map_err(panicked)??;
        let written = self.written.load(Ordering::Relaxed);
        println!("{answered} answers meanwhile, after {longest:?} at most; {written} signals");
        ensure!(answered > 0);
        self.broker.wait_for(&format!("{}-out", self.name), written)?;
        ensure!(self.broker.count(&format!("{}-out", self.name))? == written, "some came twice");
        println!("at most {} KiB", self.service.peak_memory()? >> 10);
        self.service.stop()?.expect_code(0)?;
        drop(self.setup);
        Ok(())
    }
}

fn hash(name: &str) -> anyhow::Result<String> {
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    setup.write("password", secret(name))?;
    Ok(setup.execute_on("password", &["hash-password"])?.stdout.trim().to_owned())
}

pub(super) fn login() -> String {
    format!("authorization: {}\r\n", http::basic("devops", &password()))
}

fn connect(address: &str) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// The statuses of all answers on a connection, until the other side ends it.
fn statuses(stream: &mut TcpStream) -> anyhow::Result<Vec<u16>> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            anyhow::bail!("not ended within {LIMIT:?}")
        }
        // The other side does not wait for what it does not want.
        _ => {}
    }
    let text = String::from_utf8_lossy(&bytes);
    // `HTTP/1.1 200`, or 1.0 to whoever asks so.
    let status = |part: &str| part.get(2..5).and_then(|status| status.parse().ok());
    Ok(text.split("HTTP/1.").skip(1).filter_map(status).collect())
}

/// Sends what the other side takes of it, and reads the statuses of the answers.
pub(super) fn exchange(address: &str, bytes: &[u8]) -> anyhow::Result<Vec<u16>> {
    let mut stream = connect(address)?;
    let _taken = stream.write_all(bytes);
    statuses(&mut stream)
}

/// How many sockets this process may have; as many as the system lets it.
fn raise_file_limit() -> anyhow::Result<usize> {
    let limits = || -> anyhow::Result<(usize, usize)> {
        let text = std::fs::read_to_string("/proc/self/limits")?;
        let line = text.lines().find(|line| line.starts_with("Max open files")).context("no such limit")?;
        let mut numbers = line.split_whitespace().skip(3).map(|word| word.parse().unwrap_or(usize::MAX));
        Ok((numbers.next().context("no soft limit")?, numbers.next().context("no hard limit")?))
    };
    let (_, hard) = limits()?;
    let id = std::process::id().to_string();
    // Without the program it stays as it is.
    let _raised = Command::new("prlimit").args(["--pid", &id, &format!("--nofile={hard}")]).status();
    Ok(limits()?.0)
}

/// Ten thousand sockets that do nothing, half of them after they have begun a request.
#[test]
fn idle_sockets_keep_nobody_out() -> anyhow::Result<()> {
    let scene = Scene::start("hostile-idle")?;
    let wanted = IDLE.min(raise_file_limit()?.saturating_sub(1_000));
    ensure!(wanted >= 1_000, "this process may have {wanted} sockets only");
    let mut idle = Vec::with_capacity(wanted);
    for n in 0..wanted {
        let mut stream = TcpStream::connect(scene.api.address())?;
        if n % 2 == 0 {
            let _begun = stream.write_all(b"GET /health HTTP/1.1\r\nx-slow: ");
        }
        idle.push(stream);
    }
    println!("{wanted} idle sockets");
    scene.ensure_bounded("idle sockets")?;
    drop(idle);
    scene.end()
}

/// Heads and bodies that come byte by byte, and answers that nobody takes, end in time however steadily they go on.
#[test]
fn whoever_is_slow_is_ended() -> anyhow::Result<()> {
    let scene = Scene::start("hostile-slow")?;
    // Each has another thread; what is written after the end is of no use to anybody.
    let drip = |begun: String, drop: &'static str| {
        let mut stream = connect(scene.api.address())?;
        stream.write_all(begun.as_bytes())?;
        let mut other = stream.try_clone()?;
        let start = Instant::now();
        let writer = thread::spawn(move || {
            while start.elapsed() < LIMIT && other.write_all(drop.as_bytes()).is_ok() {
                thread::sleep(Duration::from_millis(100));
            }
        });
        anyhow::Ok(thread::spawn(move || {
            let statuses = statuses(&mut stream);
            let took = start.elapsed();
            drop_stream(&stream);
            let _ended = writer.join();
            statuses.map(|statuses| (statuses, took))
        }))
    };
    let mut heads = Vec::new();
    for n in 0..20 {
        let begun = if n % 2 == 0 { "GET /health HTTP/1.1\r\nx: " } else { "" };
        heads.push(drip(begun.to_owned(), if n % 2 == 0 { "y" } else { "\r\n" })?);
    }
    let mut bodies = Vec::new();
    for framing in ["content-length: 100000\r\n\r\n", "transfer-encoding: chunked\r\n\r\n"] {
        let head = format!("PUT /devops/logging HTTP/1.1\r\nhost: x\r\n{}{framing}", login());
        let drop = if framing.starts_with('c') { " " } else { "1\r\n \r\n" };
        for _ in 0..5 {
            bodies.push(drip(head.clone(), drop)?);
        }
    }
    // Nothing is read of what is asked for again and again: the service asks for no more once the socket is full.
    let mut unread = Vec::new();
    for _ in 0..5 {
        let mut stream = connect(scene.api.address())?;
        stream.set_write_timeout(Some(Duration::from_secs(1)))?;
        let requests = "GET /apidoc/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
        while stream.write_all(requests.as_bytes()).is_ok() {}
        unread.push(stream);
    }
    scene.ensure_bounded("answers that nobody reads")?;
    let joined = |thread: JoinHandle<anyhow::Result<(Vec<u16>, Duration)>>| {
        thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?
    };
    for head in heads {
        let (statuses, took) = joined(head)?;
        ensure!(statuses.is_empty() || statuses == [408] || statuses == [400], "{statuses:?}");
        ensure!(took < LIMIT, "{took:?}");
    }
    for body in bodies {
        let (statuses, _) = joined(body)?;
        ensure!(statuses == [408], "{statuses:?}");
    }
    for mut stream in unread {
        // It was ended: what is read comes to an end, or was cut off.
        let read = stream.read_to_end(&mut Vec::new());
        let hangs = read.is_err_and(|it| matches!(it.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        ensure!(!hangs, "an answer that nobody took has not ended its connection");
    }
    scene.ensure_bounded("slow heads and bodies")?;
    scene.end()
}

fn drop_stream(stream: &TcpStream) {
    let _gone = stream.shutdown(std::net::Shutdown::Both);
}

/// Bodies of 100 MB, and what is deep, wide or long in 1 MiB.
#[test]
fn large_requests_are_refused() -> anyhow::Result<()> {
    let scene = Scene::start("hostile-large")?;
    let address = scene.api.address();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for n in 0..16 {
            let (login, statuses) = if n % 2 == 0 { (login(), 413) } else { (String::new(), 401) };
            let framing = ["content-length: 104857600", "transfer-encoding: chunked"][n / 2 % 2];
            let expect = if n / 4 % 2 == 0 { "" } else { "expect: 100-continue\r\n" };
            threads.push(scope.spawn(move || {
                let head = format!(
                    "POST /api/2/connections HTTP/1.1\r\nhost: x\r\n{login}{expect}{framing}\r\n\r\n"
                );
                let mut stream = connect(address)?;
                stream.write_all(head.as_bytes())?;
                let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
                let mut sent = 0;
                while sent < 100 << 20 && stream.write_all(chunk.as_bytes()).is_ok() {
                    sent += chunk.len();
                }
                let said: Vec<u16> =
                    self::statuses(&mut stream)?.into_iter().filter(|it| *it != 100).collect();
                // The answer is lost if it comes to a socket that was still written to.
                ensure!(said.is_empty() || said == [statuses], "{n}: {said:?}");
                ensure!(sent < 50 << 20, "{n}: {sent} bytes were taken");
                Ok(())
            }));
        }
        threads.into_iter().try_for_each(|it| it.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
    })?;
    scene.ensure_bounded("large bodies")?;

    let n = 1 << 20;
    let texts = [
        "[".repeat(n),
        "{\"a\":".repeat(n / 5),
        format!("[{}", "{\"a\":[".repeat(n / 7)),
        format!("[{}0]", "0,".repeat(n / 2 - 2)),
        format!("[{}{{}}]", "{},".repeat(n / 3 - 2)),
        format!("{{{}\"a\":0}}", "\"a\":0,".repeat(n / 6 - 2)),
        format!("{{{}\"\":0}}", (0..70_000).map(|n| format!("\"{n}\":{n},")).collect::<String>()),
        format!("{{\"targets\":[{}{{}}]}}", "{},".repeat(n / 3 - 10)),
        format!("{{\"tags\":[{}\"\"]}}", "\"\",".repeat(n / 3 - 10)),
        format!("[{}]", "9".repeat(n - 2)),
        format!("[1e{}]", "9".repeat(n - 4)),
        format!("\"{}\"", "\\u0000".repeat(n / 6 - 1)),
        format!("{{\"uri\":\"{}\"}}", "%41".repeat(n / 3 - 5)),
        format!("{{\"specificConfig\":{{\"bootstrapServers\":\"{}\"}}}}", "a:1,".repeat(n / 4 - 20)),
        format!("{{\"targets\":[{{\"address\":\"{}\"}}]}}", "{{a:b|".repeat(n / 6 - 10)),
        format!(
            "{{\"targets\":[{{\"topics\":[\"_/_/things/twin/events?filter={}\"]}}]}}",
            "not(".repeat(n / 4 - 30)
        ),
        " ".repeat(n),
        "\u{feff}".repeat(n / 3),
    ];
    let headers = [("authorization".to_owned(), http::basic("devops", &password()))];
    for (n, text) in texts.iter().enumerate() {
        ensure!(text.len() <= 1 << 20, "{n} has {} bytes", text.len());
        for (method, path) in [
            ("POST", "/api/2/connections"),
            ("POST", "/api/2/connections?dry-run=true"),
            ("PUT", "/api/2/connections/other"),
            ("POST", "/api/2/connections/c/explain"),
            ("POST", "/api/2/connections/c/command"),
            ("POST", "/devops/piggyback/connectivity"),
            ("PUT", "/devops/logging"),
        ] {
            let mut headers = headers.to_vec();
            let kind = if path.ends_with("command") { "text/plain" } else { "application/json" };
            headers.push(("content-type".to_owned(), kind.to_owned()));
            let start = Instant::now();
            let answer = http::request(address, method, path, &headers, Some(text.as_bytes()))?;
            ensure!(answer.status == 400, "{n} {method} {path}: {} {:.300}", answer.status, answer.text());
            ensure!(
                answer.body.len() < 1 << 16,
                "{n} {method} {path}: the answer has {} bytes",
                answer.body.len()
            );
            ensure!(start.elapsed() < LIMIT / 4, "{n} {method} {path} took {:?}", start.elapsed());
        }
    }
    scene.ensure_bounded("deep and wide JSON")?;

    // Headers: one too many, one too long, all of them too long, and one without an end.
    let many = |n: usize, length: usize| {
        (0..n).map(|n| format!("x-{n}: {}\r\n", "y".repeat(length))).collect::<String>()
    };
    for (headers, status) in [
        (many(62, 10), 200),
        (many(63, 10), 431),
        (many(2_000, 1_000), 431),
        (many(1, 16_384), 200),
        (many(1, 16_385), 431),
        (many(5, 15_000), 431),
        (format!("x: {}", "y".repeat(1 << 20)), 431),
        (format!("{}: x\r\n", "y".repeat(1 << 20)), 431),
    ] {
        for _ in 0..10 {
            let head = format!("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
            let said = exchange(address, head.as_bytes())?;
            ensure!(
                said == [status] || status == 431 && said.is_empty(),
                "{said:?} and not {status}: {headers:.100}"
            );
        }
    }
    scene.ensure_bounded("floods of headers")?;
    scene.end()
}

/// Passwords are guessed from one address, and then from many at once.
#[test]
fn guessed_passwords_cost_little_and_lock_nobody_out() -> anyhow::Result<()> {
    let scene = Scene::start("hostile-guesses")?;
    let guess =
        |n: usize| [("authorization".to_owned(), http::basic("devops", &secret(&format!("guess-{n}"))))];
    let mut codes = Vec::new();
    for n in 0..30 {
        codes.push(http::request(scene.api.address(), "GET", "/api/2/connections", &guess(n), None)?.status);
    }
    ensure!(codes.starts_with(&[401; 10]) && codes.ends_with(&[429; 10]), "{codes:?}");
    scene.ensure_bounded("guesses from one address")?;

    let (tried, checked, busy, limited) = Default::default();
    let counts: [AtomicUsize; 4] = [tried, checked, busy, limited];
    let counts = &counts;
    let address: SocketAddr = scene.api.address().parse()?;
    let (done, ended) = mpsc::channel::<()>();
    let start = Instant::now();
    let login = thread::scope(|scope| {
        let threads: Vec<_> = (0..32)
            .map(|thread| {
                let done = done.clone();
                scope.spawn(move || {
                    let _done = done;
                    let from = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1 + u8::try_from(thread)?));
                    for n in 0..60 {
                        let status = guess_from(from, address, n)?;
                        let [tried, checked, busy, limited] = counts;
                        tried.fetch_add(1, Ordering::Relaxed);
                        match status {
                            401 => checked.fetch_add(1, Ordering::Relaxed),
                            // There is no place for it, or nobody is free to check it.
                            503 | 0 => busy.fetch_add(1, Ordering::Relaxed),
                            429 => limited.fetch_add(1, Ordering::Relaxed),
                            other => anyhow::bail!("{other}"),
                        };
                    }
                    Ok(())
                })
            })
            .collect();
        drop(done);
        // Meanwhile somebody logs in who has not been seen yet.
        let mut tries = 0;
        let login = loop {
            let headers = [("authorization".to_owned(), http::basic("status", &secret("status")))];
            // From an address of its own: this one has failed too often.
            let status = request_from(IpAddr::V4(Ipv4Addr::new(127, 0, 9, 9)), address, &headers)?;
            tries += 1;
            if status == 200 {
                break (tries, start.elapsed());
            }
            ensure!([503, 0].contains(&status), "the right password is answered with {status}");
        };
        // Ends when all have dropped it.
        let _all = ended.recv();
        threads
            .into_iter()
            .try_for_each(|it| it.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)?;
        Ok(login)
    })?;
    let [tried, checked, busy, limited] = counts.each_ref().map(|it| it.load(Ordering::Relaxed));
    println!(
        "{tried} guesses from 32 addresses in {:?}: {checked} checked, {busy} not, {limited} refused; a login took {login:?}",
        start.elapsed()
    );
    ensure!(checked > 0 && limited > 0, "nothing was checked, or everything");
    // Ten each, and one more in six seconds.
    let most = 32 * (11 + usize::try_from(start.elapsed().as_secs() / 6)?);
    ensure!(checked <= most, "{checked} guesses were checked, and not {most}");
    scene.ensure_bounded("guesses from many addresses")?;
    scene.end()
}

fn guess_from(from: IpAddr, to: SocketAddr, n: usize) -> anyhow::Result<u16> {
    let headers =
        [("authorization".to_owned(), http::basic("devops", &secret(&format!("guess-{from}-{n}"))))];
    request_from(from, to, &headers)
}

/// The status of an answer; 0 if there is none.
fn request_from(from: IpAddr, to: SocketAddr, headers: &[(String, String)]) -> anyhow::Result<u16> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connected = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        socket.connect(to).await?.into_std()
    });
    let mut stream = connected?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head =
        format!("GET /api/2/connections/c/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    let _sent = stream.write_all(head.as_bytes());
    Ok(statuses(&mut stream)?.first().copied().unwrap_or_default())
}
