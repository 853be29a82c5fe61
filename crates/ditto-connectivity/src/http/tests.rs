//! The API as a client on a socket sees it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::store::MemoryStore;

/// A served API with the password that it has made up.
struct Served {
    address: SocketAddr,
    login: String,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn start(change: impl FnOnce(&mut ApiConfig)) -> Self {
        Self::start_with(change, TIMES).await
    }

    async fn start_with(change: impl FnOnce(&mut ApiConfig), times: Times) -> Self {
        let mut config = ApiConfig::new("127.0.0.1:0".parse().unwrap());
        config.instance = "one".to_owned();
        change(&mut config);
        let registry = Registry::open(Arc::new(MemoryStore::default())).unwrap();
        let mut management = Management::bind_with(&config, times).await.unwrap();
        let (address, stop) = (management.address, CancellationToken::new());
        let password = management.take_password().unwrap();
        let login = BASE64.encode(format!("devops:{}", password.expose_secret()));
        let ended = tokio::spawn(management.serve(registry, None, stop.clone()));
        Self { address, login: format!("authorization: Basic {login}\r\n"), stop, ended }
    }

    /// The whole answer to a request, whose head it completes.
    async fn ask(&self, line: &str, headers: &str, body: &str) -> String {
        let length =
            if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        self.send(&format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}{length}\r\n{body}"))
            .await
    }

    async fn send(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        read(&mut stream).await
    }

    /// The same, logged in; status and the rest.
    async fn devops(&self, line: &str, headers: &str, body: &str) -> (u16, String) {
        let answer = self.ask(line, &format!("{}{headers}", self.login), body).await;
        (status(&answer), answer)
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // The other side may have gone before it has read everything.
    let _end = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn who_is_not_logged_in_learns_nothing() {
    let served = Served::start(|_| {}).await;
    for path in
        ["/devops/logging", "/devops/nothing", "/api/2/connections/x/y/z", "/api/7/connections", "/metrics"]
    {
        let answer = served.ask(&format!("GET {path}"), "", "").await;
        assert_eq!(status(&answer), 401, "{path}");
        assert!(
            answer.contains("www-authenticate: Basic realm=\"DITTO-DEVOPS\",charset=UTF-8\r\n"),
            "{answer}"
        );
        assert!(answer.contains("content-type: text/plain; charset=UTF-8\r\n"), "{answer}");
    }
    assert_eq!(status(&served.ask("GET /health", "", "").await), 200);
    assert_eq!(status(&served.ask("GET /api/2/things", "", "").await), 404);
}

#[tokio::test]
async fn levels_of_logs_and_the_configuration() {
    let served = Served::start(|_| {}).await;
    let (code, answer) = served.devops("GET /devops/logging", "", "").await;
    assert_eq!(code, 200);
    assert!(
        answer.contains("{\"connectivity\":{\"one\":{\"type\":\"devops.responses:retrieveLoggerConfig\""),
        "{answer}"
    );
    let path = "GET /devops/config/connectivity/one?path=ditto.connectivity.connection.max-source-number";
    let (_, answer) = served.devops(path, "", "").await;
    assert!(
        answer.ends_with("{\"connectivity\":{\"one\":{\"type\":\"common.responses:retrieveConfig\",\"status\":200,\"config\":4}}}"),
        "{answer}"
    );
    assert_eq!(served.devops("GET /devops/config?path=a.b", "", "").await.0, 404);
    assert_eq!(served.devops("GET /devops/logging/things", "", "").await.0, 408);
    for (body, code) in [
        ("{\"level\":\"loud\"}", 400),
        ("{\"level\":\"info\",\"logger\":{}}", 400),
        ("{}", 400),
        ("[", 400),
        ("{\"logger\":1}", 400),
    ] {
        assert_eq!(served.devops("PUT /devops/logging", "", body).await.0, code, "{body}");
    }
}

#[tokio::test]
async fn answers_of_the_router_are_those_of_the_reference() {
    let served = Served::start(|_| {}).await;
    let (code, answer) = served.devops("DELETE /devops/logging", "correlation-id: c-1\r\n", "").await;
    assert_eq!(code, 405);
    assert!(answer.contains("allow: PUT, GET\r\n"), "{answer}");
    assert!(
        answer.contains("correlation-id: c-1\r\n") && answer.contains("response-required: false\r\n"),
        "{answer}"
    );
    assert_eq!(served.devops("HEAD /devops/logging", "", "").await.0, 405);
    let (code, answer) = served.devops("GET /api/3/connections", "", "").await;
    assert_eq!(code, 404);
    assert!(answer.contains("\"error\":\"api.version.notsupported\""), "{answer}");
}

#[tokio::test]
async fn pages_from_elsewhere_may_ask_only_if_configured() {
    let preflight = "origin: http://ui\r\naccess-control-request-method: GET\r\n\
                     access-control-request-headers: authorization,content-type\r\n";
    let served = Served::start(|config| config.cors = true).await;
    let answer = served.ask("OPTIONS /api/2/connections", preflight, "").await;
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("access-control-allow-origin: http://ui\r\n"), "{answer}");
    assert!(answer.contains("access-control-allow-headers: authorization, content-type\r\n"), "{answer}");
    let answer = served.ask("GET /devops/logging", "origin: http://ui\r\n", "").await;
    assert!(
        status(&answer) == 401 && answer.contains("access-control-allow-origin: http://ui\r\n"),
        "{answer}"
    );
    let served = Served::start(|_| {}).await;
    let answer = served.ask("OPTIONS /api/2/connections", preflight, "").await;
    assert!(status(&answer) == 401 && !answer.contains("access-control"), "{answer}");
}

#[tokio::test]
async fn the_description_and_its_page_come_from_here() {
    let served = Served::start(|_| {}).await;
    for (path, part) in [
        ("/apidoc", "<script src=\"/apidoc/page.js\""),
        ("/apidoc/page.js", "openapi.json"),
        ("/apidoc/openapi.json", "\"/devops/logging/{service}\""),
    ] {
        let answer = served.ask(&format!("GET {path}"), "", "").await;
        assert!(status(&answer) == 200 && answer.contains(part), "{answer}");
        assert!(
            !answer.contains("https://") || path.ends_with("openapi.json"),
            "{path} loads from elsewhere"
        );
    }
    let answer = served.ask("GET /apidoc", "", "").await;
    assert!(answer.contains("content-security-policy: default-src 'none'"), "{answer}");
}

#[tokio::test]
async fn operations_of_the_description_have_names_of_their_own_and_name_what_is_there() {
    let served = Served::start(|_| {}).await;
    let answer = served.ask("GET /apidoc/openapi.json", "", "").await;
    let (_, text) = answer.split_once("\r\n\r\n").unwrap();
    let described: serde_json::Value = serde_json::from_str(text).unwrap();
    let of_paths = described["paths"].as_object().unwrap().values();
    let operations: Vec<_> = of_paths.flat_map(|it| it.as_object().unwrap().values()).collect();
    let mut names: Vec<_> = operations.iter().filter_map(|it| it["operationId"].as_str()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert!(count == names.len() && count > 10, "{names:?}");
    for link in text.split("{\"operationId\":\"").skip(1) {
        assert!(names.contains(&link.split('"').next().unwrap()), "{link:.40}");
    }
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(described["components"]["schemas"].get(name).is_some(), "{name}");
    }
}

const SHORT: Times = Times { head: Duration::from_millis(100), body: Duration::from_millis(100), ..TIMES };

#[tokio::test]
async fn a_slow_head_ends_the_connection() {
    let served = Served::start_with(|_| {}, SHORT).await;
    for begun in ["", "G", "GET /health HTTP/1.1\r\nhost: x\r\n"] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let answer = read(&mut stream).await;
        assert!(answer.is_empty() || status(&answer) == 408, "{answer}");
    }
}

#[tokio::test]
async fn a_slow_body_ends_the_request() {
    let served = Served::start_with(|_| {}, SHORT).await;
    let head =
        format!("PUT /devops/logging HTTP/1.1\r\nhost: x\r\n{}content-length: 10\r\n\r\n", served.login);
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(format!("{head}{{").as_bytes()).await.unwrap();
    assert_eq!(status(&read(&mut stream).await), 408);
}

#[tokio::test]
async fn idle_connections_keep_nobody_out() {
    let served = Served::start(|config| config.max_connections = 32).await;
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        idle.push(TcpStream::connect(served.address).await.unwrap());
    }
    assert_eq!(status(&served.ask("GET /health", "", "").await), 200);
    let mut ended = 0;
    for stream in &mut idle {
        let read = tokio::time::timeout(Duration::from_millis(1), stream.read_u8()).await;
        ended += usize::from(read.is_ok());
    }
    assert!(ended >= 900, "only {ended} were ended");
}

#[tokio::test]
async fn large_bodies_are_refused_without_reading_them() {
    let served = Served::start(|_| {}).await;
    let head = format!("PUT /devops/logging HTTP/1.1\r\nhost: x\r\n{}", served.login);
    let answer = served.send(&format!("{head}content-length: 104857600\r\n\r\n{{")).await;
    assert_eq!(status(&answer), 413);
    assert!(answer.contains("content-length: 0\r\n") && answer.contains("connection: close\r\n"), "{answer}");
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
    let answer = served.send(&format!("{head}transfer-encoding: chunked\r\n\r\n{}", chunk.repeat(17))).await;
    assert_eq!(status(&answer), 413);
    let answer =
        served.send("PUT /devops/logging HTTP/1.1\r\nhost: x\r\ncontent-length: 104857600\r\n\r\n{").await;
    assert_eq!(status(&answer), 401);
}

#[tokio::test]
async fn floods_of_headers_and_long_paths_are_refused() {
    let served = Served::start(|_| {}).await;
    let many: String = (0..100).map(|n| format!("x-{n}: y\r\n")).collect();
    assert_eq!(status(&served.ask("GET /health", &many, "").await), 431);
    let long = format!("x-y: {}\r\n", "z".repeat(20_000));
    assert_eq!(status(&served.ask("GET /health", &long, "").await), 431);
    let endless = format!("x-y: {}\r\n", "z".repeat(100_000));
    assert_eq!(status(&served.ask("GET /health", &endless, "").await), 431);
    assert_eq!(status(&served.ask(&format!("GET /health?{}", "q".repeat(9_000)), "", "").await), 414);
    assert_eq!(status(&served.ask(&format!("GET /{}", "p".repeat(9_000)), "", "").await), 414);
}

#[tokio::test]
async fn tricks_with_paths_lead_nowhere() {
    let served = Served::start(|_| {}).await;
    for path in [
        "//devops/logging",
        "/./devops/logging",
        "/health/../devops/logging",
        "/%64evops/logging",
        "/health%2F..%2Fdevops%2Flogging",
        "/devops%2Flogging",
        "/DEVOPS/logging",
        "/api//2/connections",
        "/health/",
        "/health%00",
        "/%ff%fe",
        "/apidoc/../../etc/passwd",
        "/apidoc/%2e%2e%2fpage.js",
    ] {
        assert_eq!(status(&served.ask(&format!("GET {path}"), "", "").await), 404, "{path}");
    }
    for path in ["/devops/../health", "/devops//logging", "/devops/%2e%2e/health", "/metrics"] {
        assert_eq!(status(&served.ask(&format!("GET {path}"), "", "").await), 401, "{path}");
    }
    for line in ["GET /devops\0/logging", "GET /a b", "GET \u{e9}", "G\u{0}T /health"] {
        assert_eq!(status(&served.ask(line, "", "").await), 400, "{line:?}");
    }
}

#[tokio::test]
async fn guessing_passwords_ends_soon() {
    let served = Served::start(|_| {}).await;
    assert_eq!(served.devops("GET /devops/logging", "", "").await.0, 200);
    let mut codes = Vec::new();
    for n in 0..15 {
        let guess = BASE64.encode(format!("devops:guess-{n}"));
        let answer =
            served.ask("GET /devops/logging", &format!("authorization: Basic {guess}\r\n"), "").await;
        codes.push(status(&answer));
    }
    assert!(codes.starts_with(&[401; 10]) && codes.ends_with(&[429; 4]), "{codes:?}");
    assert_eq!(served.devops("GET /devops/logging", "", "").await.0, 200, "who is known goes on");
}

#[tokio::test]
async fn it_ends_when_it_is_told_to() {
    let served = Served::start(|_| {}).await;
    let _idle = TcpStream::connect(served.address).await.unwrap();
    served.stop.cancel();
    served.ended.await.unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}
