//! DevOps commands for connections (piggyback.md).

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ditto_connection::{Check, Draft, ValidationReport};
use ditto_protocol::{ConnectionId, ErrorCode, parse_duration};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::connections::{self, COMMANDS, Fields};
use super::described::{OfInstance, Timeout};
use super::devops::{Named, SERVICE};
use super::parameters;
use super::problem::Problem;
use super::{Api, audit, reply};
use crate::mappers::read_definition;
use crate::registry::{Precondition, Put, RegistryError};

/// What takes commands for one connection.
const REGION: &str = "/system/sharding/connection";
/// What knows the ids.
const IDS: &str = "/user/connectivityRoot/connectionIdsRetrieval";
const SUDO: &str = "connectivity.sudo.commands:";

/// A command with what is said about its answer.
struct Envelope<'b> {
    target: String,
    /// Whether the answer says whose it is.
    aggregates: bool,
    /// Whether it has an answer at all.
    is_answered: bool,
    timeout: Option<String>,
    command: Command<'b>,
}

/// A command, with its members as they came.
struct Command<'b> {
    members: Map<String, Value>,
    /// That of a definition keeps its places for findings.
    connection: Option<&'b str>,
}

/// What comes of a command.
enum Outcome {
    /// It is answered.
    Response(Value),
    /// It is refused by what takes it.
    Refused(Problem),
    /// It does not get there.
    Undelivered(Problem),
}

/// Carries out a DevOps command.
#[utoipa::path(
    post, path = "/devops/piggyback/{service}/{instance}", tag = "devops", security(("devops" = [])),
    request_body(content = ref("#/components/schemas/Envelope"), content_type = "application/json", example = json!({
        "targetActorSelection": "/user/connectivityRoot/connectionIdsRetrieval/singleton", "headers": { "aggregate": false },
        "piggybackCommand": { "type": "connectivity.commands:retrieveAllConnectionIds" },
    })),
    params(OfInstance, Timeout),
    responses(
        (status = 200, description = "The answer, also of a command that is refused: look at its `status`.", content_type = "application/json", body = ref("#/components/schemas/Answer")),
        (status = 202, description = "The command wants no answer."),
        (status = 400, description = "It is no command.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 408, description = "Nobody is called so: null.", content_type = "application/json", body = ref("#/components/schemas/Nothing"))
    )
)]
pub(super) async fn piggyback(State(api): State<Api>, named: Named, asked: Asked, body: Bytes) -> Response {
    if api.is_other(&named) {
        return asked.answer(Ok(nobody()));
    }
    carried_out(&api, &asked, &body).await
}

/// What the reference says once nobody has answered. Here it is known at once.
fn nobody() -> Response {
    reply::json(StatusCode::REQUEST_TIMEOUT, &Value::Null)
}

async fn carried_out(api: &Api, asked: &Asked, body: &[u8]) -> Response {
    let envelope = match parameters::json(body).and_then(Envelope::read) {
        Ok(envelope) => envelope,
        Err(problem) => return asked.answer(Err(problem)),
    };
    let response = match envelope.timeout() {
        Ok(timeout) => answered(api, asked, &envelope, timeout.unwrap_or(asked.timeout)).await,
        Err(problem) => problem.into_response(),
    };
    match &envelope.timeout {
        Some(timeout) => reply::with(response, "timeout", timeout),
        None => asked.answer(Ok(response)),
    }
}

async fn answered(api: &Api, asked: &Asked, envelope: &Envelope<'_>, timeout: Duration) -> Response {
    let outcome = tokio::time::timeout(timeout, api.carry_out(asked, envelope)).await;
    let outcome = outcome.unwrap_or_else(|_| Outcome::Undelivered(no_answer(&envelope.target)));
    if !envelope.is_answered {
        return reply::empty(StatusCode::ACCEPTED);
    }
    let answer = match outcome {
        Outcome::Response(response) => response,
        Outcome::Refused(problem) => problem.into_json(),
        Outcome::Undelivered(problem) => json!({
            "type": "devops.responses:errorResponse", "status": problem.status(), "serviceName": SERVICE,
            "instance": &*api.instance, "payload": problem.into_json(),
        }),
    };
    let answer = if envelope.aggregates { json!({ SERVICE: { &*api.instance: answer } }) } else { answer };
    reply::json(StatusCode::OK, &answer)
}

impl<'b> Envelope<'b> {
    fn read(text: &'b str) -> Result<Self, Problem> {
        let wrong = |code, message: String| {
            let description = "Send an object with targetActorSelection, headers and piggybackCommand.";
            Problem::new(code, message, description)
        };
        let value: Value = serde_json::from_str(text)
            .map_err(|error| wrong(ErrorCode::JSON_INVALID, format!("The body is no JSON: {error}.")))?;
        let Value::Object(mut members) = value else {
            let problem = wrong(ErrorCode::JSON_FORMAT_INVALID, "The body is no JSON object.".to_owned());
            return Err(problem.without_description());
        };
        let mut take = |name: &str| {
            let missing = || {
                let message = format!("The command has no member `/{name}`.");
                wrong(ErrorCode::JSON_FIELD_MISSING, message)
            };
            members.remove(name).ok_or_else(missing)
        };
        let other = |name: &str, kind: &str| {
            wrong(ErrorCode::JSON_INVALID, format!("The member `/{name}` is no {kind}."))
        };
        let (target, headers, command) =
            (take("targetActorSelection")?, take("headers")?, take("piggybackCommand")?);
        let Value::String(target) = target else { return Err(other("targetActorSelection", "text")) };
        let headers = match headers {
            Value::Object(headers) => headers,
            Value::Null => Map::new(),
            _ => return Err(other("headers", "object")),
        };
        let command = match command {
            Value::Object(members) => Command { connection: raw_connection(text), members },
            Value::Null => Command { connection: None, members: Map::new() },
            _ => return Err(other("piggybackCommand", "object")),
        };
        let is_true = |name: &str| headers.get(name).map(|value| *value == true || *value == "true");
        Ok(Self {
            target,
            aggregates: is_true("aggregate").unwrap_or(true),
            is_answered: !headers
                .get("response-required")
                .is_some_and(|value| *value == false || *value == "false"),
            timeout: headers
                .get("timeout")
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            command,
        })
    }

    fn timeout(&self) -> Result<Option<Duration>, Problem> {
        let Some(text) = &self.timeout else { return Ok(None) };
        let timeout = parse_duration(text).filter(|it| !it.is_zero() && *it <= parameters::MAX_TIMEOUT);
        timeout.map(Some).ok_or_else(|| {
            let message = format!("`{}` is no timeout.", text.escape_default());
            Problem::new(
                ErrorCode::TIMEOUT_INVALID,
                message,
                "Write seconds, or a number with ms or s, up to 60s.",
            )
        })
    }
}

/// The definition in a command, as it stands in the request.
fn raw_connection(text: &str) -> Option<&str> {
    raw_member(raw_member(text, "piggybackCommand")?, "connection")
}

fn raw_member<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let members: HashMap<Cow<'_, str>, &'t RawValue> = serde_json::from_str(text).ok()?;
    members.get(name).map(|value| value.get())
}

impl Api {
    async fn carry_out(&self, asked: &Asked, envelope: &Envelope<'_>) -> Outcome {
        let unknown = |message: &str| {
            let description = "Name a command of Ditto's connectivity.";
            Outcome::Undelivered(Problem::new(ErrorCode::JSON_TYPE_NOT_PARSABLE, message, description))
        };
        let command = &envelope.command;
        let Some(Value::String(kind)) = command.members.get("type") else {
            return unknown("The command has no `type` that is a text.");
        };
        if envelope.target.ends_with(IDS) {
            return self
                .of_ids(kind, command)
                .unwrap_or_else(|| Outcome::Undelivered(no_answer(&envelope.target)));
        }
        if !envelope.target.ends_with(REGION) {
            return Outcome::Undelivered(no_answer(&envelope.target));
        }
        if let Some(name) = kind.strip_prefix(SUDO) {
            return match name {
                "sudoRetrieveConnectionTags" => self.tags(command),
                _ => Outcome::Undelivered(no_answer(&envelope.target)),
            };
        }
        let Some(name) = kind.strip_prefix(COMMANDS) else {
            // The reference looks for a connection with the id of that thing, and finds none.
            if ["things.commands:", "policies.commands:"].iter().any(|other| kind.starts_with(other)) {
                let message = "The connection could not be found.";
                let problem = Problem::new(
                    ErrorCode::CONNECTION_NOT_FOUND,
                    message,
                    "Send it to the service that it is for.",
                );
                return Outcome::Refused(problem);
            }
            return unknown(&format!("The type `{}` is none.", kind.escape_default()));
        };
        match name {
            "createConnection" => self.created(asked, command).await,
            "modifyConnection" => self.modified(asked, envelope).await,
            "testConnection" => self.tested(command).await,
            "retrieveConnections" => Outcome::Undelivered(no_answer(&envelope.target)),
            _ => match command.id() {
                Ok(id) => self.of_connection(asked, name, &id, command).await,
                Err(_) if !is_known(name) => {
                    unknown(&format!("The type `{}` is none.", kind.escape_default()))
                }
                Err(problem) => Outcome::Undelivered(problem),
            },
        }
    }

    fn of_ids(&self, kind: &str, command: &Command<'_>) -> Option<Outcome> {
        if kind == "connectivity.commands:retrieveAllConnectionIds" {
            let ids = self.all().into_keys().map(|id| Value::from(id.as_str())).collect();
            return Some(response("retrieveAllConnectionIds", 200, "connectionIds", ids));
        }
        if kind != "connectivity.sudo.commands:sudoRetrieveConnectionIdsByTag" {
            return None;
        }
        let Some(tag) = command.text("tag") else {
            return Some(Outcome::Undelivered(missing("tag")));
        };
        let records = self.registry.list();
        let tagged = records.iter().filter(|it| it.connection.tags().iter().any(|known| known == tag));
        let ids: Vec<&str> = tagged.map(|record| record.connection.id().as_str()).collect();
        Some(Outcome::Response(json!({
            "type": "connectivity.sudo.responses:sudoRetrieveConnectionIdsByTag", "status": 200, "connectionIds": ids,
        })))
    }

    fn tags(&self, command: &Command<'_>) -> Outcome {
        let id = match command.id() {
            Ok(id) => id,
            Err(problem) => return Outcome::Undelivered(problem),
        };
        match self.record(&id) {
            Ok(record) => Outcome::Response(json!({
                "type": "connectivity.sudo.responses:sudoRetrieveConnectionTags", "status": 200,
                "connectionTags": record.connection.tags(),
            })),
            Err(problem) => Outcome::Refused(problem),
        }
    }

    async fn created(&self, asked: &Asked, command: &Command<'_>) -> Outcome {
        let Some(text) = command.connection else { return Outcome::Undelivered(missing("connection")) };
        let connection = match read_definition(Draft::of_command(text)) {
            Ok(connection) => connection,
            Err(report) => return refused(&report),
        };
        let id = connection.id().to_string();
        let created = self
            .registry
            .create(connection)
            .await
            .map(|record| response("createConnection", 201, "connection", record.connection.to_json()));
        audited(asked, "createConnection", &id, created)
    }

    async fn modified(&self, asked: &Asked, envelope: &Envelope<'_>) -> Outcome {
        let Some(text) = envelope.command.connection else {
            return Outcome::Undelivered(missing("connection"));
        };
        let of_definition = serde_json::from_str::<Value>(text).ok();
        let id = of_definition.and_then(|it| it.get("id")?.as_str()?.parse::<ConnectionId>().ok());
        let Some(id) = id else {
            // Whoever reads it says what is wrong with the id.
            return match read_definition(Draft::of_command(text)) {
                Ok(_) => Outcome::Undelivered(missing("connection/id")),
                Err(report) => refused(&report),
            };
        };
        let read = |stored: Option<&ditto_connection::Connection>| {
            let draft = Draft::of_command(text);
            read_definition(stored.map_or(draft, |stored| draft.with_secrets_of(stored)))
        };
        let put = match self.registry.put(&id, read, &Precondition::default()).await {
            Ok(Put::Created(record)) => {
                Ok(response("createConnection", 201, "connection", record.connection.to_json()))
            }
            Ok(Put::Modified(_)) => Ok(response("modifyConnection", 204, "connectionId", id.as_str().into())),
            Err(RegistryError::Invalid(report)) => return refused(&report),
            Err(error) => Err(error),
        };
        audited(asked, "modifyConnection", id.as_str(), put)
    }

    async fn tested(&self, command: &Command<'_>) -> Outcome {
        let Some(text) = command.connection else { return Outcome::Undelivered(missing("connection")) };
        let connection = match read_definition(Draft::of_command(text)) {
            Ok(connection) => connection,
            Err(report) => return refused(&report),
        };
        let id = connection.id();
        let result = |status: u16, text: String| {
            Outcome::Response(json!({
                "type": "connectivity.responses:testConnection", "status": status, "connectionId": id.as_str(),
                "testResult": text,
            }))
        };
        if self.kept(id).is_ok() {
            return result(409, format!("there is a connection with ID `{id}` already"));
        }
        match self.registry.test(&connection).await {
            Ok(()) => result(200, "connected, logged in, and found the topics".to_owned()),
            Err(error) => Outcome::Refused(error.into()),
        }
    }

    async fn of_connection(
        &self,
        asked: &Asked,
        name: &str,
        id: &ConnectionId,
        command: &Command<'_>,
    ) -> Outcome {
        if let Some((name, command)) = connections::named(name) {
            let done = self.registry.command(id, command).await;
            return audited(
                asked,
                name,
                id.as_str(),
                done.map(|_| response(name, 200, "connectionId", id.as_str().into())),
            );
        }
        match name {
            "deleteConnection" => {
                let deleted = self.registry.delete(id, &Precondition::default()).await;
                let answer = |_| response(name, 204, "connectionId", id.as_str().into());
                audited(asked, "deleteConnection", id.as_str(), deleted.map(answer))
            }
            "retrieveConnection" => {
                let fields = match command.text("selectedFields").map(|text| Fields::read(&[text])) {
                    Some(Ok(fields)) => fields,
                    Some(Err(problem)) => return Outcome::Undelivered(problem),
                    None => None,
                };
                let shown = self.kept(id).map(|kept| kept.shown(fields.as_ref()));
                shown.map_or_else(Outcome::Refused, |shown| response(name, 200, "connection", shown))
            }
            "retrieveConnectionMetrics" => self.metrics(id).map_or_else(Outcome::Refused, Outcome::Response),
            "retrieveConnectionLogs" => self.logs(id).map_or_else(Outcome::Refused, |logs| {
                let mut said =
                    json!({ "type": "connectivity.responses:retrieveConnectionLogs", "status": 200 });
                if let (Some(said), Value::Object(logs)) = (said.as_object_mut(), logs) {
                    said.extend(logs);
                }
                Outcome::Response(said)
            }),
            "retrieveConnectionStatus" => self.status(id).map_or_else(Outcome::Refused, Outcome::Response),
            _ => {
                let message = format!("The type `{COMMANDS}{}` is none.", name.escape_default());
                let description = "Name a command of Ditto's connectivity.";
                Outcome::Undelivered(Problem::new(ErrorCode::JSON_TYPE_NOT_PARSABLE, message, description))
            }
        }
    }
}

fn is_known(name: &str) -> bool {
    connections::named(name).is_some()
        || [
            "deleteConnection",
            "retrieveConnection",
            "retrieveConnectionStatus",
            "retrieveConnectionMetrics",
            "retrieveConnectionLogs",
        ]
        .contains(&name)
}

fn audited(asked: &Asked, action: &str, id: &str, done: Result<Outcome, RegistryError>) -> Outcome {
    let outcome = done.as_ref().map_or_else(|error| error.code().name(), |_| "done");
    audit::change(&asked.by, action, id, outcome);
    done.unwrap_or_else(|error| Outcome::Refused(error.into()))
}

/// What cannot be read at all is told by whoever takes the command.
fn refused(report: &ValidationReport) -> Outcome {
    let problem = Problem::of_report(report);
    // Of another type it is refused by the connection that it would become.
    let is_of_other_type = |it: &ditto_connection::Finding| {
        it.pointer == "/connectionType" && it.code == ErrorCode::CONFIGURATION_INVALID.name()
    };
    if report.first_error().is_some_and(|it| it.check <= Check::Uri && !is_of_other_type(it)) {
        Outcome::Undelivered(problem)
    } else {
        Outcome::Refused(problem)
    }
}

fn response(name: &str, status: u16, member: &str, value: Value) -> Outcome {
    let mut said = Map::new();
    said.insert("type".to_owned(), format!("connectivity.responses:{name}").into());
    said.insert("status".to_owned(), status.into());
    said.insert(member.to_owned(), value);
    Outcome::Response(said.into())
}

fn no_answer(target: &str) -> Problem {
    let message = format!("Nobody answers at `{}`.", target.escape_default());
    let description = format!("Connections are at `{REGION}`, their ids at `{IDS}`.");
    Problem::new(ErrorCode::ASK_ERROR, message, description)
}

fn missing(member: &str) -> Problem {
    let message = format!("The command has no member `/{member}`.");
    Problem::new(ErrorCode::JSON_FIELD_MISSING, message, "Send it.")
}

impl Command<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }

    fn id(&self) -> Result<ConnectionId, Problem> {
        parameters::id(self.text("connectionId").ok_or_else(|| missing("connectionId"))?)
    }
}
