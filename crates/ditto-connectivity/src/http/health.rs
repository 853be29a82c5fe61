//! Whether the service works.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::{Api, reply};

/// Whether the service is there. Who asks need not log in, and learns nothing else.
#[utoipa::path(
    get, path = "/health", tag = "health",
    responses((status = 200, description = "It is.", content_type = "application/json"))
)]
pub(super) async fn health() -> Response {
    reply::json(StatusCode::OK, &json!({ "status": "UP" }))
}

/// The health of the service and its parts.
#[utoipa::path(
    get, path = "/status/health", tag = "health",
    security(("devops" = [])),
    responses(
        (status = 200, description = "It works.", content_type = "application/json"),
        (status = 401, description = "Not logged in.")
    )
)]
pub(super) async fn status_health(State(api): State<Api>) -> Response {
    let instance = json!({ "label": &*api.instance, "status": "UP" });
    let service = json!({ "label": "connectivity", "status": "UP", "children": [instance] });
    reply::json(StatusCode::OK, &json!({ "label": "roles", "status": "UP", "children": [service] }))
}
