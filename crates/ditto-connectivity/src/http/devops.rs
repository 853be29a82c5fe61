//! Levels of logs and the configuration, as Ditto's DevOps commands answer them (http-api.md §7).

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use ditto_protocol::ErrorCode;
use serde_json::{Value, json};

use super::front::Asking;
use super::parameters::{self, Query};
use super::problem::Problem;
use super::{Api, audit, reply};
use crate::telemetry;

/// The name of this service among Ditto's.
pub(super) const SERVICE: &str = "connectivity";

/// Whom a request names.
#[derive(Debug, Clone, Copy)]
enum Named {
    Nobody,
    Service,
    Instance,
}

impl Api {
    /// An answer of this instance, with as many levels around it as the path leaves open.
    fn nested(&self, named: Named, answer: Value) -> Value {
        match named {
            Named::Nobody => json!({ SERVICE: { &*self.instance: answer } }),
            Named::Service => json!({ &*self.instance: answer }),
            Named::Instance => answer,
        }
    }

    fn check_named(&self, service: &str, instance: Option<&str>) -> Result<(), Problem> {
        if service == SERVICE && instance.is_none_or(|instance| instance == &*self.instance) {
            return Ok(());
        }
        let message = format!(
            "Nobody is called `{service}{}`.",
            instance.map(|it| format!("/{it}")).unwrap_or_default()
        );
        let description = format!("This service is `{SERVICE}`, its only instance `{}`.", self.instance);
        Err(Problem::new(ErrorCode::ASK_ERROR, message, description))
    }

    fn logging(&self, named: Named) -> Response {
        let loggers = telemetry::levels()
            .into_iter()
            .map(|(logger, level)| json!({ "level": level, "logger": logger }));
        let answer = json!({
            "type": "devops.responses:retrieveLoggerConfig", "status": 200, "serviceName": SERVICE,
            "instance": &*self.instance, "loggerConfigs": loggers.collect::<Vec<_>>(),
        });
        reply::json(StatusCode::OK, &self.nested(named, answer))
    }

    fn change_logging(&self, by: &Asking, named: Named, body: Bytes) -> Result<Response, Problem> {
        let text = parameters::json(&body)?;
        let wrong = |message: String| {
            Problem::new(ErrorCode::JSON_INVALID, message, "Send {\"logger\": …, \"level\": …}.")
        };
        let value: Value =
            serde_json::from_str(text).map_err(|error| wrong(format!("The body is no JSON: {error}.")))?;
        let member = |name: &str| value.get(name).and_then(Value::as_str);
        let (Some(level), logger) = (member("level"), member("logger").unwrap_or(telemetry::ROOT)) else {
            let message = "The body has no member `level` that is a text.";
            return Err(Problem::new(ErrorCode::JSON_FIELD_MISSING, message, "Send it."));
        };
        telemetry::set_level(logger, level).map_err(|why| wrong(format!("{why}.")))?;
        audit::change(by, "changeLogLevel", logger, level);
        let answer = json!({
            "type": "devops.responses:changeLogLevel", "status": 200, "serviceName": SERVICE,
            "instance": &*self.instance, "successful": true,
        });
        Ok(reply::json(StatusCode::OK, &self.nested(named, answer)))
    }

    fn config(&self, uri: &Uri) -> Response {
        let query = Query::of(uri);
        let mut value = &configuration();
        for name in query.get("path").into_iter().flat_map(|path| path.split('.')) {
            let Some(below) = value.get(name) else {
                let message = "There is no configuration at this path.";
                return Problem::new(
                    ErrorCode::CONFIGURATION_NOT_FOUND,
                    message,
                    "Leave `path` out to see all.",
                )
                .into_response();
            };
            value = below;
        }
        let answer = json!({ "type": "common.responses:retrieveConfig", "status": 200, "config": value });
        // Unlike levels of logs, it stands in both levels whatever the path names.
        reply::json(StatusCode::OK, &self.nested(Named::Nobody, answer))
    }
}

/// What scripts ask for, by the reference's names.
fn configuration() -> Value {
    let limits = json!({ "max-source-number": 4, "max-target-number": 4 });
    json!({ "ditto": { "connectivity": { "connection": limits }, "version": env!("CARGO_PKG_VERSION") } })
}

/// The levels of all logs.
#[utoipa::path(
    get, path = "/devops/logging", tag = "devops",
    security(("devops" = [])),
    responses(
        (status = 200, description = "The answer.", content_type = "application/json"),
        (status = 400, description = "The request is wrong.", content_type = "application/json"),
        (status = 401, description = "Not logged in.")
    )
)]
pub(super) async fn logging_of_all(State(api): State<Api>) -> Response {
    api.logging(Named::Nobody)
}

/// Changes the level of a log.
#[utoipa::path(
    put, path = "/devops/logging", tag = "devops",
    request_body(content = Value, content_type = "application/json", description = "`logger` and `level`"),
    security(("devops" = [])),
    responses(
        (status = 200, description = "The answer.", content_type = "application/json"),
        (status = 400, description = "The request is wrong.", content_type = "application/json"),
        (status = 401, description = "Not logged in.")
    )
)]
pub(super) async fn change_logging_of_all(
    State(api): State<Api>,
    Extension(by): Extension<Asking>,
    body: Bytes,
) -> Response {
    api.change_logging(&by, Named::Nobody, body).into_response()
}

/// The configuration, or what is at the query parameter `path` of it.
#[utoipa::path(
    get, path = "/devops/config", tag = "devops",
    security(("devops" = [])),
    responses(
        (status = 200, description = "The answer.", content_type = "application/json"),
        (status = 400, description = "The request is wrong.", content_type = "application/json"),
        (status = 401, description = "Not logged in.")
    )
)]
pub(super) async fn config_of_all(State(api): State<Api>, uri: Uri) -> Response {
    api.config(&uri)
}

/// The levels of all logs.
#[utoipa::path(
    get, path = "/devops/logging/{service}", tag = "devops",
    params(("service" = String, Path, description = "`connectivity`")),
    security(("devops" = [])),
    responses(
        (status = 200, description = "The answer.", content_type = "application/json"),
        (status = 400, description = "The request is wrong.", content_type = "application/json"),
        (status = 401, description = "Not logged in.")
    )
)]
pub(super) async fn logging(State(api): State<Api>, Path(service): Path<String>) -> Response {
    if let Err(problem) = api.check_named(&service, None) {
        return problem.into_response();
    }
    api.logging(Named::Service)
}

/// Changes the level of a log.
#[utoipa::path(
    put, path = "/devops/logging/{service}", tag = "devops",
    request_body(content = Value, content_type = "application/json", description = "`logger` and `level`"),
    params(("service" = String, Path, description = "`connectivity`")),
    security(("devops" = [])),
    responses(
        (status = 200, description = "The answer.", content_type = "application/json"),
        (status = 400, description = "The request is wrong.", content_type = "application/json"),
        (status = 401, description = "Not logged in.")
    )
)]
pub(super) async fn change_logging(
    State(api): State<Api>,
    Extension(by): Extension<Asking>,
    Path(service): Path<String>,
    body: Bytes,
) -> Response {
    if let Err(problem) = api.check_named(&service, None) {
        return problem.into_response();
    }
    api.change_logging(&by, Named::Service, body).into_response()
}

/// The configuration, or what is at the query parameter `path` of it.
#[utoipa::path(
    get, path = "/devops/config/{service}", tag = "devops",
    params(("service" = String, Path, description = "`connectivity`")),
    security(("devops" = [])),
    responses(
        (status = 200, description = "The answer.", content_type = "application/json"),
        (status = 400, description = "The request is wrong.", content_type = "application/json"),
        (status = 401, description = "Not logged in.")
    )
)]
pub(super) async fn config(State(api): State<Api>, Path(service): Path<String>, uri: Uri) -> Response {
    if let Err(problem) = api.check_named(&service, None) {
        return problem.into_response();
    }
    api.config(&uri)
}

/// The levels of all logs.
#[utoipa::path(
    get, path = "/devops/logging/{service}/{instance}", tag = "devops",
    params(("service" = String, Path, description = "`connectivity`"), ("instance" = String, Path, description = "Name of this instance.")),
    security(("devops" = [])),
    responses(
        (status = 200, description = "The answer.", content_type = "application/json"),
        (status = 400, description = "The request is wrong.", content_type = "application/json"),
        (status = 401, description = "Not logged in.")
    )
)]
pub(super) async fn logging_of_instance(
    State(api): State<Api>,
    Path((service, instance)): Path<(String, String)>,
) -> Response {
    if let Err(problem) = api.check_named(&service, Some(&instance)) {
        return problem.into_response();
    }
    api.logging(Named::Instance)
}

/// Changes the level of a log.
#[utoipa::path(
    put, path = "/devops/logging/{service}/{instance}", tag = "devops",
    request_body(content = Value, content_type = "application/json", description = "`logger` and `level`"),
    params(("service" = String, Path, description = "`connectivity`"), ("instance" = String, Path, description = "Name of this instance.")),
    security(("devops" = [])),
    responses(
        (status = 200, description = "The answer.", content_type = "application/json"),
        (status = 400, description = "The request is wrong.", content_type = "application/json"),
        (status = 401, description = "Not logged in.")
    )
)]
pub(super) async fn change_logging_of_instance(
    State(api): State<Api>,
    Extension(by): Extension<Asking>,
    Path((service, instance)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    if let Err(problem) = api.check_named(&service, Some(&instance)) {
        return problem.into_response();
    }
    api.change_logging(&by, Named::Instance, body).into_response()
}

/// The configuration, or what is at the query parameter `path` of it.
#[utoipa::path(
    get, path = "/devops/config/{service}/{instance}", tag = "devops",
    params(("service" = String, Path, description = "`connectivity`"), ("instance" = String, Path, description = "Name of this instance.")),
    security(("devops" = [])),
    responses(
        (status = 200, description = "The answer.", content_type = "application/json"),
        (status = 400, description = "The request is wrong.", content_type = "application/json"),
        (status = 401, description = "Not logged in.")
    )
)]
pub(super) async fn config_of_instance(
    State(api): State<Api>,
    Path((service, instance)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    if let Err(problem) = api.check_named(&service, Some(&instance)) {
        return problem.into_response();
    }
    api.config(&uri)
}
