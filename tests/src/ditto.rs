//! A stand-in for Ditto's HTTP API: things and policies with ETags, who may ask, and trouble when it is told to.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A Ditto that answers `GET` of things and policies, as spec/ditto-link.md §3 says. It ends when it is dropped.
#[derive(Debug)]
pub struct Ditto {
    state: Arc<State>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// What it does instead of answering.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// An answer of this status, with these headers and this body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// None at all until the trouble ends; then the right one.
    Silence,
    /// The connection is closed.
    Close,
}

#[derive(Debug)]
struct State {
    known: Mutex<Known>,
    /// Changes with each change of trouble, for those that are silent.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Known {
    things: HashMap<String, Entry>,
    policies: HashMap<String, Entry>,
    /// The `authorization` that is wanted, if any is.
    authorization: Option<String>,
    /// By path; the empty one is for all.
    troubles: HashMap<String, Trouble>,
    asked: Vec<Asked>,
}

struct Entry {
    revision: i64,
    json: Map<String, Value>,
}

/// A question, and the status of the answer; 0 while there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// When it came.
    pub time: Instant,
    /// The path below `/api/2/`.
    pub path: String,
    /// The `if-none-match` that came along.
    pub validator: Option<String>,
    /// The status.
    pub status: u16,
    /// All headers by their names in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Ditto {
    /// Starts one on loopback.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State { known: Mutex::default(), changed: watch::channel(0).0 });
        let server = tokio::spawn(serve(listener, state.clone()));
        Ok(Self { state, address, server })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A thing as it is from now on; its revision is one more than before.
    pub fn set_thing(&self, id: &str, policy: &str, attributes: &Value) -> i64 {
        let json = json!({"thingId": id, "policyId": policy, "attributes": attributes});
        set(&mut self.known().things, id, json)
    }

    /// A policy as it is from now on.
    pub fn set_policy(&self, id: &str, mut policy: Value) -> i64 {
        policy["policyId"] = id.into();
        set(&mut self.known().policies, id, policy)
    }

    /// There is no such thing and no such policy any more, or nobody may read it.
    pub fn remove(&self, id: &str) {
        let mut known = self.known();
        known.things.remove(id);
        known.policies.remove(id);
    }

    /// Who asks must say this (`Bearer …`).
    pub fn want_authorization(&self, authorization: Option<&str>) {
        self.known().authorization = authorization.map(str::to_owned);
    }

    /// Makes trouble for a path below `/api/2/`, such as `policies/acme:p`; for all if it is empty.
    pub fn trouble(&self, path: &str, trouble: Trouble) {
        self.known().troubles.insert(path.to_owned(), trouble);
        self.state.changed.send_modify(|change| *change += 1);
    }

    /// No more trouble.
    pub fn mend(&self) {
        self.known().troubles.clear();
        self.state.changed.send_modify(|change| *change += 1);
    }

    /// What it was asked for since the last call.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.known().asked)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.state.known()
    }
}

impl Drop for Ditto {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn set(known: &mut HashMap<String, Entry>, id: &str, json: Value) -> i64 {
    let revision = known.get(id).map_or(1, |entry| entry.revision + 1);
    let json = json.as_object().cloned().unwrap_or_default();
    known.insert(id.to_owned(), Entry { revision, json });
    revision
}

impl State {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("troubles", &self.troubles).finish_non_exhaustive()
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    // Connections end with the server.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(converse(stream, state.clone()));
    }
}

/// Answers one request after the other, until the client or a trouble ends it.
async fn converse(stream: TcpStream, state: Arc<State>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let Some(answer) = answer(&state, &target, headers).await else { return Ok(()) };
        stream.get_mut().write_all(answer.as_bytes()).await?;
    }
}

/// The answer with its status line and headers; none if the connection is to be closed.
async fn answer(state: &State, target: &str, headers: BTreeMap<String, String>) -> Option<String> {
    let mut changed = state.changed.subscribe();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.strip_prefix("/api/2/").unwrap_or(path).replace("%3A", ":");
    let fields = query.strip_prefix("fields=").map(|fields| fields.replace("%2C", ","));
    let validator = headers.get("if-none-match").cloned();
    let at = {
        let mut known = state.known();
        known.asked.push(Asked { time: Instant::now(), path: path.clone(), validator, status: 0, headers });
        known.asked.len() - 1
    };
    let (status, headers, body) = loop {
        let trouble = {
            let known = state.known();
            known.troubles.get(&path).or_else(|| known.troubles.get("")).cloned()
        };
        match trouble {
            Some(Trouble::Close) => return None,
            Some(Trouble::Silence) => changed.changed().await.ok()?,
            Some(Trouble::Status(status, headers, body)) => break (status, headers, body),
            None => break right_answer(&state.known(), &path, fields.as_deref(), at),
        }
    };
    if let Some(asked) = state.known().asked.get_mut(at).filter(|asked| asked.path == path) {
        asked.status = status;
    }
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    Some(format!("HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

type Response = (u16, Vec<(&'static str, String)>, String);

fn right_answer(known: &Known, path: &str, fields: Option<&str>, at: usize) -> Response {
    let error = |status: u16, code: &str| {
        let body = json!({"status": status, "error": code, "message": "…"});
        (status, vec![("content-type", "application/json".to_owned())], body.to_string())
    };
    let asked = known.asked.get(at);
    let authorization = asked.and_then(|asked| asked.headers.get("authorization"));
    if known.authorization.is_some() && known.authorization.as_ref() != authorization {
        return error(401, "gateway:authentication.failed");
    }
    let (group, id) = path.split_once('/').unwrap_or_default();
    let (entry, code) = match group {
        "things" => (known.things.get(id), "things:thing.notfound"),
        "policies" => (known.policies.get(id), "policies:policy.notfound"),
        _ => return error(404, "gateway:notfound"),
    };
    let Some(entry) = entry else { return error(404, code) };
    let etag = format!("\"rev:{}\"", entry.revision);
    if asked.and_then(|asked| asked.validator.as_ref()) == Some(&etag) {
        return (304, vec![("etag", etag)], String::new());
    }
    let mut json = entry.json.clone();
    json.insert("_revision".to_owned(), entry.revision.into());
    match fields {
        Some(fields) => json.retain(|name, _| fields.split(',').any(|field| field == name)),
        None => drop(json.remove("_revision")),
    }
    (
        200,
        vec![("etag", etag), ("content-type", "application/json".to_owned())],
        Value::Object(json).to_string(),
    )
}

/// Waits until something holds.
///
/// # Errors
/// It did not within 30 s.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    for _ in 0..6_000 {
        if holds() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("{what} did not happen")
}
