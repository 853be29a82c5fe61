//! `/api/2/connections` (http-api.md §2 to §6).

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use ditto_connection::Draft;
use ditto_json::FieldSelector;
use ditto_protocol::{ConnectionId, ErrorCode};
use serde_json::Value;

use super::asked::{Asked, Id};
use super::described::{Conditions, OfConnection, Selected, Timeout};
use super::parameters::{self, JSON, TEXT, etag};
use super::problem::Problem;
use super::shown::{self, Kept};
use super::{Api, reply};
use crate::mappers::read_definition;
use crate::registry::{ConnectionCommand, Put};
use crate::store::Record;

/// What a dry run takes at most, unless the request says otherwise.
const DRY_RUN_TIMEOUT: Duration = Duration::from_secs(15);

/// All connections, by id.
#[utoipa::path(
    get, path = "/api/2/connections", tag = "connections", security(("devops" = [])),
    params(
        ("ids-only" = Option<String>, Query, description = "Only their ids, if it is `true`."),
        ("fields" = Option<String>, Query, description = "Only these fields of each, such as `id,name`; `id` must be among them."),
        Timeout
    ),
    responses(
        (status = 200, description = "The connections, or their ids.", content_type = "application/json", body = ref("#/components/schemas/Connections")),
        (status = 400, description = "A parameter is wrong.", content_type = "application/json", body = ref("#/components/schemas/Problem"))
    )
)]
pub(super) async fn list(State(api): State<Api>, asked: Asked) -> Response {
    let answer = listed(&api, &asked);
    asked.answer(answer)
}

fn listed(api: &Api, asked: &Asked) -> Result<Response, Problem> {
    parameters::answered(&asked.query, &asked.headers)?;
    let all = api.all();
    let ids = || all.keys().map(|id| Value::from(id.as_str())).collect();
    let is_given = asked.query.get("ids-only").is_some();
    let fields = fields(asked)?;
    let is_id_alone = fields.as_ref().is_some_and(|fields| fields.is_exactly("/id"));
    let body: Value = match &fields {
        _ if asked.query.is_true("ids-only") => ids(),
        Some(_) if is_id_alone && !is_given => ids(),
        Some(fields) if !fields.has("/id") => {
            let message = "The fields of a list have no `id`.";
            return Err(Problem::new(ErrorCode::FIELD_SELECTOR_INVALID, message, "Add `id` to the fields."));
        }
        _ => all.values().map(|kept| kept.shown(fields.as_ref())).collect(),
    };
    Ok(reply::json(StatusCode::OK, &body))
}

/// Adds a connection, or only tries it with `dry-run`.
///
/// A dry run connects, logs in and looks for the topics, and keeps nothing.
#[utoipa::path(
    post, path = "/api/2/connections", tag = "connections", security(("devops" = [])),
    request_body(
        content = ref("#/components/schemas/Definition"), content_type = "application/json", description = "A connection without id.",
        example = json!({
            "name": "press line 4", "connectionType": "kafka", "connectionStatus": "closed",
            "uri": "tcp://localhost:9092", "specificConfig": { "bootstrapServers": "localhost:9092" },
            "targets": [{
                "address": "devices/{{ thing:id }}", "topics": ["_/_/things/twin/events"],
                "authorizationContext": ["integration:press"],
            }],
        })
    ),
    params(("dry-run" = Option<String>, Query, description = "Only try it, if it is `true`."), Timeout),
    responses(
        (status = 200, description = "The dry run has succeeded."),
        (status = 201, description = "The connection.", content_type = "application/json", body = ref("#/components/schemas/Connection")),
        (status = 400, description = "The definition is wrong; `findings` says all that is.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 409, description = "Two targets issue the same label, or there is something of that id already.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 422, description = "A label that sources ask for is none.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 504, description = "The dry run has failed.", content_type = "application/json", body = ref("#/components/schemas/Problem"))
    )
)]
pub(super) async fn create(State(api): State<Api>, asked: Asked, body: Bytes) -> Response {
    if asked.query.is_true("dry-run") {
        let asked = asked.or_within(DRY_RUN_TIMEOUT);
        let answer = tried(&api, &asked, &body).await;
        return reply::with(asked.answer(answer), "dry-run", "true");
    }
    let (id, answer) = match new_id("") {
        Ok(id) => (id.to_string(), created(&api, &asked, &body, &id).await),
        Err(problem) => (String::new(), Err(problem)),
    };
    asked.audited("createConnection", &id, answer)
}

async fn created(api: &Api, asked: &Asked, body: &[u8], id: &ConnectionId) -> Result<Response, Problem> {
    parameters::check_media_type(&asked.headers, &JSON)?;
    let text = parameters::json(body)?;
    let connection =
        read_definition(Draft::of_post(text, id)).map_err(|report| Problem::of_report(&report))?;
    let record = asked.within(api.registry.create(connection)).await?;
    Ok(answer_created(asked, &record))
}

async fn tried(api: &Api, asked: &Asked, body: &[u8]) -> Result<Response, Problem> {
    parameters::check_media_type(&asked.headers, &JSON)?;
    let text = parameters::json(body)?;
    let id = new_id("-dry-run")?;
    let connection =
        read_definition(Draft::of_dry_run(text, &id)).map_err(|report| Problem::of_report(&report))?;
    asked.within(api.registry.test(&connection)).await?;
    Ok(reply::empty(StatusCode::OK))
}

fn new_id(suffix: &str) -> Result<ConnectionId, Problem> {
    parameters::id(&format!("{}{suffix}", uuid::Uuid::new_v4()))
}

fn answer_created(asked: &Asked, record: &Record) -> Response {
    let location = format!("{}/api/2/connections/{}", origin(&asked.headers), record.connection.id());
    let response = reply::json(StatusCode::CREATED, &record.connection.to_json());
    with_revision(reply::with(response, "location", &location), record)
}

/// Where the client has sent its request to, by what a proxy says that stands in front. Who lies about it gets a wrong
/// `Location` for itself.
fn origin(headers: &HeaderMap) -> String {
    let said = |name: &str| headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim);
    let is_host = |host: &&str| host.parse::<Authority>().is_ok_and(|it| !it.as_str().contains('@'));
    let host = said("x-forwarded-host").or_else(|| said("host")).filter(is_host).unwrap_or_default();
    let is_tls = said("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    match host {
        // A path alone is a `Location`, too.
        "" => String::new(),
        host => format!("{}://{host}", if is_tls { "https" } else { "http" }),
    }
}

fn with_revision(response: Response, record: &Record) -> Response {
    reply::with(response, "entity-revision", &record.sequence.to_string())
}

/// One connection. Secrets are masked; what is answered can be changed and put back.
#[utoipa::path(
    get, path = "/api/2/connections/{id}", tag = "connections", security(("devops" = [])),
    params(OfConnection, Selected, Timeout, Conditions),
    responses(
        (status = 200, description = "The connection.", content_type = "application/json", body = ref("#/components/schemas/Kept")),
        (status = 304, description = "As it is known."),
        (status = 404, description = "There is none.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 412, description = "It is another one.", content_type = "application/json", body = ref("#/components/schemas/Problem"))
    )
)]
pub(super) async fn get(State(api): State<Api>, Id(id): Id, asked: Asked) -> Response {
    let answer = got(&api, &asked, &id);
    asked.answer(answer)
}

fn got(api: &Api, asked: &Asked, id: &ConnectionId) -> Result<Response, Problem> {
    parameters::answered(&asked.query, &asked.headers)?;
    let fields = fields(asked)?;
    let record = match api.kept(id)? {
        Kept::Readable(record) => record,
        unreadable @ Kept::Unreadable(_) => {
            return Ok(reply::json(StatusCode::OK, &unreadable.shown(fields.as_ref())));
        }
    };
    check_history(asked, &record)?;
    let precondition = parameters::precondition(&asked.headers);
    if precondition.if_none_match.is_some() && precondition.check(id, Some(record.revision)).is_err() {
        let only_match = crate::registry::Precondition { if_none_match: None, ..precondition.clone() };
        only_match.check(id, Some(record.revision))?;
        return Ok(reply::with(reply::empty(StatusCode::NOT_MODIFIED), "etag", &etag(record.revision)));
    }
    precondition.check(id, Some(record.revision))?;
    let response = reply::json(StatusCode::OK, &shown::definition(&record, fields.as_ref()));
    Ok(with_revision(reply::with(response, "etag", &etag(record.revision)), &record))
}

/// Only what is there now is kept.
fn check_history(asked: &Asked, record: &Record) -> Result<(), Problem> {
    let of_header = |name: &str| asked.headers.get(name).and_then(|value| value.to_str().ok());
    let said =
        |name: &'static str| asked.query.get(name).or_else(|| of_header(name)).map(|value| (name, value));
    let Some((name, value)) = said("at-historical-revision").or_else(|| said("at-historical-timestamp"))
    else {
        return Ok(());
    };
    if name == "at-historical-revision" && value.parse() == Ok(record.revision) {
        return Ok(());
    }
    let message = format!(
        "The connection with ID `{}` at {name} `{value}` could not be found.",
        record.connection.id()
    );
    let description = "This service keeps what connections are, and not what they were.";
    Err(Problem::new(ErrorCode::CONNECTION_HISTORY_NOT_FOUND, message, description))
}

/// Replaces a connection, or adds one of this id.
#[utoipa::path(
    put, path = "/api/2/connections/{id}", tag = "connections", security(("devops" = [])),
    request_body(
        content = ref("#/components/schemas/Definition"), content_type = "application/json",
        description = "A connection, with this id or none. A masked secret stays as it is.",
        example = json!({
            "name": "press line 4", "connectionType": "kafka", "connectionStatus": "closed",
            "uri": "tcp://localhost:9092", "specificConfig": { "bootstrapServers": "localhost:9092" },
            "targets": [{
                "address": "devices/{{ thing:id }}", "topics": ["_/_/things/twin/events"],
                "authorizationContext": ["integration:press"],
            }],
        })
    ),
    params(OfConnection, Timeout, Conditions),
    responses(
        (status = 201, description = "There was none; the connection.", content_type = "application/json", body = ref("#/components/schemas/Connection")),
        (status = 202, description = "It is changed; the request wants no answer (`response-required=false`)."),
        (status = 204, description = "It is changed."),
        (status = 400, description = "The definition is wrong; `findings` says all that is.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 409, description = "Two targets issue the same label, or there is something of that id already.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 422, description = "A label that sources ask for is none.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 412, description = "It is another one.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 504, description = "It is changed, and does not connect.", content_type = "application/json", body = ref("#/components/schemas/Problem"))
    )
)]
pub(super) async fn put(State(api): State<Api>, Id(id): Id, asked: Asked, body: Bytes) -> Response {
    let answer = replaced(&api, &asked, &id, &body).await;
    asked.audited("modifyConnection", id.as_str(), answer)
}

async fn replaced(api: &Api, asked: &Asked, id: &ConnectionId, body: &[u8]) -> Result<Response, Problem> {
    parameters::check_media_type(&asked.headers, &JSON)?;
    let is_unanswered = parameters::is_unanswered(&asked.query, &asked.headers)?;
    let text = parameters::json(body)?;
    let precondition = parameters::precondition(&asked.headers);
    let put = asked.within(api.put(text, id, &precondition)).await?;
    Ok(match put {
        _ if is_unanswered => reply::empty(StatusCode::ACCEPTED),
        Put::Created(record) => answer_created(asked, &record),
        Put::Modified(record) => with_revision(reply::empty(StatusCode::NO_CONTENT), &record),
    })
}

/// Removes a connection.
#[utoipa::path(
    delete, path = "/api/2/connections/{id}", tag = "connections", security(("devops" = [])),
    params(OfConnection, Timeout, Conditions),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is none.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 412, description = "It is another one.", content_type = "application/json", body = ref("#/components/schemas/Problem"))
    )
)]
pub(super) async fn delete(State(api): State<Api>, Id(id): Id, asked: Asked) -> Response {
    let precondition = parameters::precondition(&asked.headers);
    let deleted = asked.within(api.registry.delete(&id, &precondition)).await;
    let answer = |sequence: u64| {
        reply::with(reply::empty(StatusCode::NO_CONTENT), "entity-revision", &sequence.to_string())
    };
    asked.audited("deleteConnection", id.as_str(), deleted.map(answer))
}

/// Opens or closes a connection, or resets what it tells.
#[utoipa::path(
    post, path = "/api/2/connections/{id}/command", tag = "connections", security(("devops" = [])),
    request_body(
        content = ref("#/components/schemas/Command"), content_type = "text/plain",
        description = "`connectivity.commands:` and one of `openConnection`, `closeConnection`, `resetConnectionMetrics`, `enableConnectionLogs`, `resetConnectionLogs`.",
        example = json!("connectivity.commands:closeConnection")
    ),
    params(OfConnection, Timeout),
    responses(
        (status = 200, description = "It is done."),
        (status = 400, description = "The command is none.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 404, description = "There is none.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 409, description = "It is kept and cannot be read.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 504, description = "It is to be open, and does not connect yet.", content_type = "application/json", body = ref("#/components/schemas/Problem"))
    )
)]
pub(super) async fn command(State(api): State<Api>, Id(id): Id, asked: Asked, body: Bytes) -> Response {
    let text =
        match parameters::check_media_type(&asked.headers, &TEXT).and_then(|()| parameters::text(&body)) {
            Ok(text) => text,
            Err(problem) => return asked.answer(Err(problem)),
        };
    let Some((name, command)) = text.strip_prefix(COMMANDS).and_then(named) else {
        // Somebody may have sent a definition, with its secrets: only what begins as a command is repeated.
        let shown =
            text.strip_prefix(COMMANDS).map(|name| name.chars().take(100).flat_map(char::escape_default));
        let shown = shown.map(|name| format!(" `{COMMANDS}{}`", name.collect::<String>()));
        let message = format!("The command{} is not supported.", shown.unwrap_or_default());
        let known = NAMED.map(|(name, _)| name).join(", ");
        let description = format!("Send exactly `{COMMANDS}` and one of {known}.");
        return asked.answer(Err(Problem::new(ErrorCode::CONNECTION_COMMAND_INVALID, message, description)));
    };
    let done = asked.within(api.registry.command(&id, command)).await;
    asked.audited(name, id.as_str(), done.map(|record| with_revision(reply::empty(StatusCode::OK), &record)))
}

/// What all types of commands start with.
pub(super) const COMMANDS: &str = "connectivity.commands:";

const NAMED: [(&str, ConnectionCommand); 5] = [
    ("openConnection", ConnectionCommand::Open),
    ("closeConnection", ConnectionCommand::Close),
    ("resetConnectionMetrics", ConnectionCommand::ResetMetrics),
    ("enableConnectionLogs", ConnectionCommand::EnableLogs),
    ("resetConnectionLogs", ConnectionCommand::ResetLogs),
];

/// A command by its name.
pub(super) fn named(name: &str) -> Option<(&'static str, ConnectionCommand)> {
    NAMED.into_iter().find(|(known, _)| *known == name)
}

/// How a connection stands, with its clients, sources and targets.
#[utoipa::path(
    get, path = "/api/2/connections/{id}/status", tag = "connections", security(("devops" = [])),
    params(OfConnection, Timeout),
    responses(
        (status = 200, description = "How it stands.", content_type = "application/json", body = ref("#/components/schemas/Status")),
        (status = 404, description = "There is none.", content_type = "application/json", body = ref("#/components/schemas/Problem"))
    )
)]
pub(super) async fn status(State(api): State<Api>, Id(id): Id, asked: Asked) -> Response {
    let answer = parameters::answered(&asked.query, &asked.headers).and_then(|()| api.status(&id));
    asked.answer(answer.map(|status| reply::json(StatusCode::OK, &status)))
}

/// What has become of the signals of a connection, in windows of time.
#[utoipa::path(
    get, path = "/api/2/connections/{id}/metrics", tag = "connections", security(("devops" = [])),
    params(OfConnection, Timeout),
    responses(
        (status = 200, description = "The counts, or nulls of a connection that does not run.", content_type = "application/json", body = ref("#/components/schemas/Metrics")),
        (status = 404, description = "There is none.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 409, description = "It is kept and cannot be read.", content_type = "application/json", body = ref("#/components/schemas/Problem"))
    )
)]
pub(super) async fn metrics(State(api): State<Api>, Id(id): Id, asked: Asked) -> Response {
    let answer = parameters::answered(&asked.query, &asked.headers).and_then(|()| api.metrics(&id));
    asked.answer(answer.map(|metrics| reply::json(StatusCode::OK, &metrics)))
}

/// What has happened to the signals of a connection.
#[utoipa::path(
    get, path = "/api/2/connections/{id}/logs", tag = "connections", security(("devops" = [])),
    params(OfConnection, Timeout),
    responses(
        (status = 200, description = "The entries; the newest of each kind.", content_type = "application/json", body = ref("#/components/schemas/Logs")),
        (status = 404, description = "There is none.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 409, description = "It is kept and cannot be read.", content_type = "application/json", body = ref("#/components/schemas/Problem"))
    )
)]
pub(super) async fn logs(State(api): State<Api>, Id(id): Id, asked: Asked) -> Response {
    let answer = parameters::answered(&asked.query, &asked.headers).and_then(|()| api.logs(&id));
    asked.answer(answer.map(|logs| reply::json(StatusCode::OK, &logs)))
}

/// Which fields are asked for.
#[derive(Debug)]
pub(super) struct Fields(Option<FieldSelector>);

impl Fields {
    pub(super) fn read(texts: &[&str]) -> Result<Option<Self>, Problem> {
        let texts: Vec<&str> = texts.iter().copied().filter(|text| !text.is_empty()).collect();
        if texts.is_empty() {
            return Ok(Some(Self(None)));
        }
        let invalid = |error: ditto_json::SelectorError| {
            let message = format!("The fields are none: {error}.");
            Problem::new(ErrorCode::FIELD_SELECTOR_INVALID, message, "Write them as `a,b(c,d),e/f`.")
        };
        FieldSelector::of_object(&texts.join(",")).map(|selector| Some(Self(Some(selector)))).map_err(invalid)
    }

    fn is_exactly(&self, pointer: &str) -> bool {
        self.0.as_ref().is_some_and(|it| matches!(it.pointers(), [only] if only.to_string() == pointer))
    }

    fn has(&self, pointer: &str) -> bool {
        self.0.as_ref().is_some_and(|it| it.pointers().iter().any(|known| known.to_string() == pointer))
    }

    /// What is asked for of an object; without a field, nothing.
    pub(super) fn select(&self, value: &Value) -> Value {
        self.0
            .as_ref()
            .map_or_else(|| Value::Object(serde_json::Map::new()), |selector| selector.select(value))
    }
}

fn fields(asked: &Asked) -> Result<Option<Fields>, Problem> {
    let texts: Vec<&str> = asked.query.all("fields").collect();
    if texts.is_empty() { Ok(None) } else { Fields::read(&texts) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: &str) {
        let pair =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        assert_eq!(origin(&headers.iter().map(pair).collect()), expected, "{headers:?}");
    }

    #[test]
    fn a_proxy_says_where_the_client_is() {
        check(&[("host", "h:1")], "http://h:1");
        check(&[("host", "h:1"), ("x-forwarded-proto", "HTTPS")], "https://h:1");
        check(
            &[("host", "h:1"), ("x-forwarded-proto", "https, http"), ("x-forwarded-host", "out, in")],
            "https://out",
        );
        check(&[("host", "h:1"), ("x-forwarded-proto", "javascript")], "http://h:1");
        for host in ["a b", "u@h", "h/p", ""] {
            check(&[("host", host)], "");
        }
        check(&[], "");
    }
}
