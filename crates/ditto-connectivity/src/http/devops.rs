//! Levels of logs and the configuration, as Ditto's DevOps commands answer them (http-api.md §7).

use std::convert::Infallible;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use ditto_protocol::ErrorCode;
use serde_json::{Value, json};

use super::described::OfInstance;
use super::front::Asking;
use super::parameters::{self, Query};
use super::problem::Problem;
use super::{Api, audit, reply};
use crate::telemetry;

/// The name of this service among Ditto's.
pub(super) const SERVICE: &str = "connectivity";

/// Whom the path of a DevOps command names, of `/{service}/{instance}`: it may leave either out.
#[derive(Debug)]
pub(super) struct Named {
    service: Option<String>,
    instance: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let Ok(names) = RawPathParams::from_request_parts(parts, state).await else {
            // What is no text is nobody's name.
            return Ok(Self { service: Some("\u{fffd}".to_owned()), instance: None });
        };
        let name =
            |wanted: &str| names.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned());
        Ok(Self { service: name("service"), instance: name("instance") })
    }
}

impl Api {
    /// Whether somebody else is named.
    pub(super) fn is_other(&self, named: &Named) -> bool {
        named.service.as_ref().is_some_and(|service| service != SERVICE)
            || named.instance.as_ref().is_some_and(|instance| **instance != *self.instance)
    }

    /// Nobody else answers; the reference says so after a time-out.
    fn check_named(&self, named: &Named) -> Result<(), Problem> {
        if !self.is_other(named) {
            return Ok(());
        }
        let names: Vec<&str> =
            [&named.service, &named.instance].into_iter().flatten().map(String::as_str).collect();
        let message = format!("Nobody is called `{}`.", names.join("/").escape_default());
        let description = format!("This service is `{SERVICE}`, its only instance `{}`.", self.instance);
        Err(Problem::new(ErrorCode::COMMAND_TIMEOUT, message, description))
    }

    /// An answer of this instance, with as many levels around it as the path leaves open.
    fn nested(&self, named: &Named, answer: Value) -> Value {
        let answer = if named.instance.is_none() { json!({ &*self.instance: answer }) } else { answer };
        if named.service.is_none() { json!({ SERVICE: answer }) } else { answer }
    }

    fn logging(&self, named: &Named) -> Response {
        let loggers = telemetry::levels()
            .into_iter()
            .map(|(logger, level)| json!({ "level": level, "logger": logger }));
        let answer = json!({
            "type": "devops.responses:retrieveLoggerConfig", "status": 200, "serviceName": SERVICE,
            "instance": &*self.instance, "loggerConfigs": loggers.collect::<Vec<_>>(),
        });
        reply::json(StatusCode::OK, &self.nested(named, answer))
    }

    fn change_logging(&self, by: &Asking, named: &Named, body: &Bytes) -> Result<Response, Problem> {
        let text = parameters::json(body)?;
        let wrong = |message: String| {
            Problem::new(ErrorCode::JSON_INVALID, message, "Send {\"logger\": …, \"level\": …}.")
        };
        let value: Value =
            serde_json::from_str(text).map_err(|error| wrong(format!("The body is no JSON: {error}.")))?;
        let member = |name: &str| value.get(name).and_then(Value::as_str);
        let Some(level) = member("level") else {
            let message = "The body has no member `level` that is a text.";
            return Err(Problem::new(ErrorCode::JSON_FIELD_MISSING, message, "Send it."));
        };
        let logger = match (value.get("logger"), member("logger")) {
            (None, _) => telemetry::ROOT,
            (Some(_), Some(logger)) => logger,
            (Some(_), None) => return Err(wrong("The member `/logger` is no text.".to_owned())),
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
        reply::json(StatusCode::OK, &json!({ SERVICE: { &*self.instance: answer } }))
    }
}

/// What scripts ask for, by the reference's names.
fn configuration() -> Value {
    let limits = json!({ "max-source-number": 4, "max-target-number": 4 });
    json!({ "ditto": { "connectivity": { "connection": limits }, "version": env!("CARGO_PKG_VERSION") } })
}

/// The levels of all logs.
#[utoipa::path(
    get, path = "/devops/logging/{service}/{instance}", tag = "devops", security(("devops" = [])),
    params(OfInstance),
    responses(
        (status = 200, description = "The levels, beside the names that the path leaves out.", content_type = "application/json", body = ref("#/components/schemas/Answer")),
        (status = 408, description = "Nobody is called so.", content_type = "application/json", body = ref("#/components/schemas/Problem"))
    )
)]
pub(super) async fn logging(State(api): State<Api>, named: Named) -> Result<Response, Problem> {
    api.check_named(&named)?;
    Ok(api.logging(&named))
}

/// Changes the level of a log.
#[utoipa::path(
    put, path = "/devops/logging/{service}/{instance}", tag = "devops", security(("devops" = [])),
    request_body(
        content = ref("#/components/schemas/Level"), content_type = "application/json",
        example = json!({ "logger": "ROOT", "level": "info" })
    ),
    params(OfInstance),
    responses(
        (status = 200, description = "It is changed.", content_type = "application/json", body = ref("#/components/schemas/Answer")),
        (status = 400, description = "There is no such level, or no logger can have that name.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 408, description = "Nobody is called so.", content_type = "application/json", body = ref("#/components/schemas/Problem"))
    )
)]
pub(super) async fn change_logging(
    State(api): State<Api>,
    Extension(by): Extension<Asking>,
    named: Named,
    body: Bytes,
) -> Result<Response, Problem> {
    api.check_named(&named)?;
    api.change_logging(&by, &named, &body)
}

/// The configuration, or a part of it.
#[utoipa::path(
    get, path = "/devops/config/{service}/{instance}", tag = "devops", security(("devops" = [])),
    params(OfInstance, ("path" = Option<String>, Query, description = "What to see of it, such as `ditto.version`.")),
    responses(
        (status = 200, description = "The configuration.", content_type = "application/json", body = ref("#/components/schemas/Answer")),
        (status = 404, description = "There is nothing at that path.", content_type = "application/json", body = ref("#/components/schemas/Problem")),
        (status = 408, description = "Nobody is called so.", content_type = "application/json", body = ref("#/components/schemas/Problem"))
    )
)]
pub(super) async fn config(State(api): State<Api>, named: Named, uri: Uri) -> Result<Response, Problem> {
    api.check_named(&named)?;
    Ok(api.config(&uri))
}
