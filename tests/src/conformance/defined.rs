//! What a row of connections.ndjson defines, read without the code under test.

use regex::Regex;
use serde_json::{Map, Value, json};

/// Stands for an id that the service has made.
pub(super) const GENERATED: &str = "<generated>";

/// What stands for a secret that is not told.
const MASK: &str = "*****";

/// The text of a request.
pub(super) fn text(request: &Value) -> String {
    if let Some(raw) = request["raw"].as_str() {
        return raw.to_owned();
    }
    let recipe = request["raw_recipe"].as_str().or(request["body_recipe"].as_str());
    match recipe {
        Some(recipe) => of_recipe(recipe).to_string(),
        None => request["body"].to_string(),
    }
}

/// A definition that a sentence describes: by its number.
fn of_recipe(recipe: &str) -> Value {
    let numbers = recipe.split(|c: char| !c.is_ascii_digit()).filter_map(|it| it.parse::<usize>().ok());
    let most = numbers.max().unwrap_or_default();
    let source =
        |addresses: Vec<String>| json!({ "addresses": addresses, "authorizationContext": ["svc:ingest"] });
    let names = |n: usize| (0..n).map(|n| format!("a{n}")).collect::<Vec<_>>();
    let mut definition = json!({
        "name": "press line 4", "connectionType": "kafka", "connectionStatus": "closed", "uri": "tcp://127.0.0.1:29092",
        "specificConfig": { "bootstrapServers": "127.0.0.1:29092" }, "sources": [source(vec!["plant.in".to_owned()])],
        "targets": [],
    });
    if recipe.contains("whose name is 'n' repeated") {
        definition["name"] = "n".repeat(most).into();
    } else if recipe.contains("one source with") {
        // The last number is that of the last address.
        let many = if recipe.contains(&format!("a{most}")) { most + 1 } else { most };
        definition["sources"] = json!([source(names(many))]);
    } else {
        let sources = names(most).into_iter().map(|name| source(vec![name]));
        definition["sources"] = sources.collect::<Vec<_>>().into();
    }
    definition
}

/// Whether the reference breaks instead of answering (rule 3).
pub(super) fn breaks(expected: &Value) -> bool {
    expected["internal_error"] == true || expected["http_status"] == 408
}

/// Masks what is secret, as rule 4 says.
pub(super) fn mask(definition: &mut Value) {
    if let Some(uri) = definition["uri"].as_str() {
        let masked = uri.rsplit_once('@').and_then(|(before, after)| {
            let (scheme, user_info) = before.split_once("://")?;
            let (user, _) = user_info.split_once(':')?;
            Some(format!("{scheme}://{user}:{MASK}@{after}"))
        });
        if let (Some(masked), Some(members)) = (masked, definition.as_object_mut()) {
            members.insert("uri".to_owned(), masked.into());
        }
    }
    for name in ["key", "password", "clientSecret", "privateKey"] {
        if let Some(secret) = definition.pointer_mut(&format!("/credentials/{name}"))
            && secret.is_string()
        {
            *secret = MASK.into();
        }
    }
}

/// Lists that the reference keeps as sets have no order (rule 2b).
pub(super) fn sort_sets(definition: &mut Value) {
    for source in definition.get_mut("sources").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(Value::Array(labels)) = source.pointer_mut("/acknowledgementRequests/includes") {
            labels.sort_by_key(Value::to_string);
        }
    }
}

/// The definition of a row as an answer has it. Only what its rows need: legacy members and texts that need decoding are
/// not among it.
pub(super) fn with_defaults(request: &Value) -> Value {
    let given: Value = serde_json::from_str(&text(request)).unwrap_or_default();
    let or = |name: &str, default: Value| {
        Some(&given[name]).filter(|it| !it.is_null()).cloned().unwrap_or(default)
    };
    let id = request.get("path_id").cloned().unwrap_or_else(|| or("id", GENERATED.into()));
    let objects = |name: &str| given[name].as_array().cloned().unwrap_or_default();
    let mut full = json!({
        "id": id, "name": given["name"], "connectionType": given["connectionType"],
        "connectionStatus": or("connectionStatus", "unknown".into()), "uri": given["uri"],
        "sources": objects("sources").iter().map(source).collect::<Vec<_>>(),
        "targets": objects("targets").iter().map(target).collect::<Vec<_>>(),
        "clientCount": or("clientCount", 1.into()), "failoverEnabled": or("failoverEnabled", true.into()),
        "validateCertificates": or("validateCertificates", true.into()),
        "processorPoolSize": or("processorPoolSize", 1.into()), "tags": or("tags", json!([])),
    });
    for name in ["specificConfig", "credentials", "ca", "mappingDefinitions"] {
        if !given[name].is_null() {
            full[name] = given[name].clone();
        }
    }
    full
}

fn source(given: &Value) -> Value {
    let header = |name: &str| format!("{{{{header:{name}}}}}");
    let reply_headers =
        json!({ "content-type": header("content-type"), "correlation-id": header("correlation-id") });
    let mut full = json!({
        "consumerCount": 1, "headerMapping": {},
        "replyTarget": { "enabled": true, "headerMapping": {}, "expectedResponseTypes": ["response", "error"] },
    });
    if given["replyTarget"]["address"].is_null() && given["replyTarget"]["enabled"] != false {
        full["replyTarget"]["address"] = header("reply-to").into();
        full["replyTarget"]["headerMapping"] = reply_headers.clone();
        full["headerMapping"] = reply_headers;
        full["headerMapping"]["reply-to"] = header("reply-to").into();
    }
    put_over(&mut full, given);
    full
}

fn target(given: &Value) -> Value {
    let mut full = json!({ "topics": [], "headerMapping": {} });
    put_over(&mut full, given);
    let topics = given["topics"].as_array().into_iter().flatten().filter_map(Value::as_str);
    full["topics"] = topics.map(|topic| Topic::of(topic).encoded()).collect::<Vec<_>>().into();
    full
}

fn put_over(full: &mut Value, given: &Value) {
    let (Some(full), Some(given)) = (full.as_object_mut(), given.as_object()) else { return };
    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        match full.get_mut(name) {
            Some(known @ Value::Object(_)) if value.is_object() => put_over(known, value),
            _ => drop(full.insert(name.clone(), value.clone())),
        }
    }
}

/// A topic of a target, its parameters decoded.
pub(super) struct Topic<'t> {
    base: &'t str,
    parameters: Map<String, Value>,
}

impl<'t> Topic<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let parameters = query.split('&').filter_map(|item| item.split_once('='));
        let parameters = parameters.map(|(name, value)| (decode(name), decode(value).into())).collect();
        Self { base, parameters }
    }

    /// Whether a value has what means something else when it is read again undecoded.
    pub(super) fn needs_encoding(&self) -> bool {
        self.known().any(|(_, value)| value.contains(['&', '%', '+']))
    }

    /// The value of its parameter `namespaces`.
    pub(super) fn namespaces(&self) -> Option<&str> {
        self.parameters.get("namespaces")?.as_str().filter(|it| !it.is_empty())
    }

    fn encoded(&self) -> String {
        let encode = |value: &str| value.replace('%', "%25").replace('&', "%26").replace('+', "%2B");
        let items: Vec<_> = self.known().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        match items.is_empty() {
            true => self.base.to_owned(),
            false => format!("{}?{}", self.base, items.join("&")),
        }
    }

    fn known(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let names = ["namespaces", "filter", "extraFields"].into_iter();
        names.filter_map(|name| Some((name, self.parameters.get(name)?.as_str()?)))
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (byte, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(decoded)) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The uri, the broker list and the topics of a row, as far as the classes of differences ask.
pub(super) struct Defined<'r> {
    request: &'r Value,
}

impl<'r> Defined<'r> {
    /// `None` if the row is about something else.
    pub(super) fn of(row: &'r Value) -> Option<Self> {
        let request = row.get("request")?;
        request.get("via").is_some_and(Value::is_string).then_some(Self { request })
    }

    fn body(&self) -> &'r Value {
        &self.request["body"]
    }

    /// Whether the uri has credentials of which one half is missing, or that are behind a `/` or `#`.
    pub(super) fn has_half_credentials(&self) -> bool {
        let uri = self.body()["uri"].as_str().unwrap_or_default();
        let Some((_, rest)) = uri.split_once("://") else { return false };
        let authority = rest.split(['/', '#']).next().unwrap_or_default();
        match authority.rsplit_once('@') {
            Some((user_info, _)) => user_info
                .split_once(':')
                .is_none_or(|(user, password)| user.is_empty() || password.is_empty()),
            None => rest.contains('@'),
        }
    }

    /// Whether the port of the uri is none of TCP.
    pub(super) fn has_port_above(&self) -> bool {
        let uri = self.body()["uri"].as_str().unwrap_or_default();
        let port =
            uri.split_once("://").and_then(|(_, rest)| rest.split(['/', '#']).next()?.rsplit(':').next());
        port.and_then(|port| port.parse::<u64>().ok()).is_some_and(|port| (65_536..1 << 31).contains(&port))
    }

    /// Whether the reference takes the broker list, and whether each of its entries is one, empty ones aside; `None`
    /// without a list.
    pub(super) fn brokers(&self) -> Option<(bool, bool)> {
        // The reference's own pattern, ports that it forgets and all.
        const LABEL: &str = "([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9])";
        const PORT: &str = "([1-9]|[1-5]?[0-9]{2,4}|6[1-4][0-9]{3}|65[1-4][0-9]{2}|655[1-2][0-9]|6553[1-5])";
        let list = self.body()["specificConfig"]["bootstrapServers"].as_str()?;
        let theirs = format!(r"^({LABEL}(\.{LABEL})*\.?:{PORT}[ \t\n\x0B\f\r,]*)+$");
        let ours = format!(r"^{LABEL}(\.{LABEL})*\.?:0*[1-9][0-9]{{0,4}}$");
        let (theirs, ours) = (Regex::new(&theirs).ok()?, Regex::new(&ours).ok()?);
        let is_port = |entry: &str| entry.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok());
        let mut entries =
            list.split([',', ' ', '\t', '\n', '\r']).filter(|entry| !entry.is_empty()).peekable();
        let is_any = entries.peek().is_some();
        let trimmed = list.trim();
        let is_theirs = theirs.is_match(list) && !trimmed.starts_with(',') && !trimmed.ends_with(',');
        Some((is_theirs, is_any && entries.all(|entry| ours.is_match(entry) && is_port(entry))))
    }

    /// Whether a topic means something else when it is read again undecoded.
    pub(super) fn has_topic_to_encode(&self) -> bool {
        let targets = self.body()["targets"].as_array().into_iter().flatten();
        let mut topics =
            targets.flat_map(|it| it["topics"].as_array().into_iter().flatten()).filter_map(Value::as_str);
        topics.any(|topic| Topic::of(topic).needs_encoding())
    }

    /// The answer that takes it.
    pub(super) fn accepted(&self) -> Value {
        let normalized = with_defaults(self.request);
        match self.request["via"].as_str() {
            Some("http-post") => json!({ "ok": true, "http_status": 201, "normalized": normalized }),
            Some("http-put") => json!({ "ok": true, "http_status": 204, "normalized": normalized }),
            Some("piggyback-modify") => {
                json!({ "ok": true, "http_status": 200, "inner_status": 204, "normalized": normalized })
            }
            _ => json!({ "ok": true, "http_status": 200, "inner_status": 201, "normalized": normalized }),
        }
    }

    /// The answer that refuses it when it is read (`early`), or when it is checked.
    pub(super) fn refused(&self, error: &str, early: bool) -> Value {
        let mut answer = json!({ "ok": false, "http_status": 400, "inner_status": 400, "error": error });
        if self.request["via"].as_str().is_some_and(|via| via.starts_with("piggyback")) {
            answer["http_status"] = 200.into();
            if early {
                answer["envelope"] = json!({
                    "type": "devops.responses:errorResponse", "status": 400, "serviceName": "connectivity",
                    "instance": "<instance>",
                });
            }
        }
        answer
    }
}
