//! `POST …/{id}/explain`: why a signal is published to the targets of a connection, or not.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use ditto_authorization::Enforcer;
use ditto_outbound::{
    CompiledConnection, Directory, DirectoryAnswer, Explainer, FeedPolicy, Intake, InternalHeaders,
    TargetExplanation,
};
use ditto_protocol::{ConnectionId, ErrorCode, Limits, Signal};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::asked::{Asked, Id};
use super::described::{OfConnection, Timeout};
use super::parameters::{self, JSON};
use super::problem::Problem;
use super::{Api, reply};
use crate::connecting::{not_consumed, sources_json};
use crate::eval::explain_with;
use crate::feed::{Line, record};
use crate::mappers::run_options;

/// Says why a signal is published to the targets of a connection, or not; sends nothing.
///
/// The signal is a Ditto Protocol message, or a record of an NDJSON feed. Its internal headers are taken as they are.
#[utoipa::path(
    post, path = "/api/2/connections/{id}/explain", tag = "connections", security(("devops" = [])),
    request_body(content = ref("#/components/schemas/Signal"), content_type = "application/json", example = json!({
        "topic": "org.acme/press-4/things/twin/events/modified", "headers": { "ditto-read-subjects": ["integration:press"] },
        "path": "/attributes/rpm", "value": 900, "revision": 7,
    })),
    params(OfConnection, Timeout),
    responses(
        (status = 200, description = "What each target makes of it.", content_type = "application/json", body = ref("#/components/schemas/Explanation")),
        (status = 400, description = "It is no signal.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 404, description = "There is no such connection.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 409, description = "It is kept and cannot be read.", content_type = "application/json", body = ref("#/components/schemas/Problem"))
    )
)]
pub(super) async fn explain(State(api): State<Api>, Id(id): Id, asked: Asked, body: Bytes) -> Response {
    let answer = explained(&api, &asked, &id, &body).await;
    asked.answer(answer.map(|answer| reply::json(StatusCode::OK, &answer)))
}

async fn explained(api: &Api, asked: &Asked, id: &ConnectionId, body: &[u8]) -> Result<Value, Problem> {
    let connection = api.record(id)?.connection;
    parameters::check_media_type(&asked.headers, &JSON)?;
    let text = parameters::json(body)?;
    let limits = Limits::default();
    let mut intake = Intake::new(FeedPolicy { internal_headers: InternalHeaders::Trust, limits });
    let record = record(Line::Bytes(text.as_bytes().to_vec()), limits.max_bytes);
    let signal = intake.decode(record.payload, &record.headers).map_err(|refusal| {
        let message = format!("It is no signal ({}): {}.", refusal.reason().name(), refusal.detail());
        Problem::new(ErrorCode::JSON_INVALID, message, "Send a Ditto Protocol message.")
    })?;
    let (signal, directory) = (Arc::new(signal), api.registry.lane_directory());
    let sources = sources_json(&not_consumed(&connection));
    let (topic, path) = (signal.signal().topic().to_owned(), signal.signal().path().to_owned());
    let handle = Handle::current();
    // It waits for what the directory is asked.
    let explaining = tokio::task::spawn_blocking(move || {
        let mut explainer = Explainer::new(CompiledConnection::compile(&connection, &run_options()));
        match directory {
            Some(mut directory) => explain_with(&mut directory, &handle, &mut explainer, &signal),
            None => explainer.explain(&signal, &mut Nothing),
        }
    });
    let ended = || Problem::new(ErrorCode::CONNECTION_UNAVAILABLE, "The service is ending.", "Try again.");
    let targets = asked.within(async { explaining.await.map_err(|_| ended()) }).await?;
    let targets: Vec<_> = targets.iter().map(TargetExplanation::to_json).collect();
    Ok(json!({
        "connectionId": id.as_str(), "topic": topic, "path": path, "targets": targets, "sources": sources,
    }))
}

/// A directory where there is none.
struct Nothing;

impl Directory for Nothing {
    fn observe(&mut self, _: &Signal) {}

    fn enforcer(&mut self, _: &Signal) -> DirectoryAnswer<Arc<Enforcer>> {
        DirectoryAnswer::Pending
    }

    fn thing(&mut self, _: &Signal) -> DirectoryAnswer<Arc<str>> {
        DirectoryAnswer::Pending
    }

    fn poll_answers(&mut self, _: &mut Context<'_>, _: &mut Vec<String>) -> Poll<()> {
        Poll::Pending
    }

    fn trouble(&self) -> Option<String> {
        let why = "the service has no [directory] and the signal no header `ditto-read-subjects`: nothing says who may read it";
        Some(why.to_owned())
    }
}
