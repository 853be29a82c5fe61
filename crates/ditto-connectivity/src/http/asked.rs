//! A request as handlers take it.

use std::future::Future;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use ditto_protocol::{ConnectionId, ErrorCode};

use super::front::Asking;
use super::parameters::{self, Query};
use super::problem::Problem;
use super::{audit, reply};

/// Who asks, and with what parameters.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) by: Asking,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    /// How long the answer may take.
    pub(super) timeout: Duration,
    /// As it was said.
    said_timeout: Option<String>,
}

impl Asked {
    /// Waits for an answer as long as the request says. What was begun goes on.
    pub(super) async fn within<T, E: Into<Problem>>(
        &self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Problem> {
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => Err(self.overdue()),
        }
    }

    /// With another time-out, in milliseconds, unless the request says one.
    pub(super) fn or_within(mut self, timeout: Duration) -> Self {
        if self.said_timeout.is_none() {
            self.timeout = timeout;
            self.said_timeout = Some(timeout.as_millis().to_string());
        }
        self
    }

    fn overdue(&self) -> Problem {
        let message = format!("There is no answer after {} ms.", self.timeout.as_millis());
        let description = "What was asked for goes on; look at the status of the connection.";
        Problem::new(ErrorCode::COMMAND_TIMEOUT, message, description)
    }

    /// The answer, with what the request has said.
    pub(super) fn answer(&self, answer: Result<Response, Problem>) -> Response {
        let response = answer.unwrap_or_else(IntoResponse::into_response);
        match &self.said_timeout {
            Some(timeout) => reply::with(response, "timeout", timeout),
            None => response,
        }
    }

    /// The same, of a change, which is told.
    pub(super) fn audited(&self, action: &str, id: &str, answer: Result<Response, Problem>) -> Response {
        let outcome = answer.as_ref().map_or_else(Problem::code, |_| "done");
        audit::change(&self.by, action, id, outcome);
        self.answer(answer)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        // Nobody gets here who was not let in.
        let by = parts.extensions.get::<Asking>().cloned();
        let by = by.ok_or_else(|| reply::empty(axum::http::StatusCode::UNAUTHORIZED))?;
        let query = Query::of(&parts.uri);
        let headers = parts.headers.clone();
        let (timeout, said_timeout) =
            parameters::timeout(&query, &headers).map_err(IntoResponse::into_response)?;
        Ok(Self { by, query, headers, timeout, said_timeout })
    }
}

/// The id in the path.
#[derive(Debug)]
pub(super) struct Id(pub(super) ConnectionId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        // What is no text is no id.
        parameters::id(text.as_ref().map_or("\u{fffd}", |Path(text)| text)).map(Self)
    }
}
