//! Errors as the reference answers them (connection-model.md §2), with our findings beside.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ditto_connection::ValidationReport;
use ditto_protocol::ErrorCode;
use serde_json::{Map, Value};

use super::reply::json;
use crate::registry::RegistryError;

/// An error to answer with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    status: u16,
    body: Value,
}

impl Problem {
    /// An error with what is wrong and what to do about it.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>, description: impl Into<String>) -> Self {
        let mut body = Map::new();
        body.insert("status".to_owned(), code.status().into());
        body.insert("error".to_owned(), code.name().into());
        body.insert("message".to_owned(), message.into().into());
        body.insert("description".to_owned(), description.into().into());
        Self { status: code.status(), body: body.into() }
    }

    /// The first error of a definition, and all that was found beside it.
    pub(crate) fn of_report(report: &ValidationReport) -> Self {
        let body = report.to_json();
        let status = body.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
        Self { status: status.unwrap_or(400), body }
    }

    /// Without what the reference does not say; a body that is empty has no description there.
    pub(crate) fn without_description(mut self) -> Self {
        if let Some(body) = self.body.as_object_mut() {
            body.shift_remove("description");
        }
        self
    }

    /// The status that goes with it.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Its code.
    pub(crate) fn code(&self) -> &str {
        self.body.get("error").and_then(Value::as_str).unwrap_or_default()
    }

    /// The error object.
    pub(crate) fn into_json(self) -> Value {
        self.body
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        Self { status: error.status(), body: error.to_json() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        json(StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST), &self.body)
    }
}
