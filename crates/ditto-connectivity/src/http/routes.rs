//! All routes, and their description, which is made of the same table.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ditto_protocol::ErrorCode;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::described::in_each_form;
use super::page::Logins;
use super::problem::Problem;
use super::{Api, connections, described, devops, explain, health, page, piggyback, prometheus, reply};

/// What the description says beside the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "ditto-connectivity",
        description = "Manages connections of Eclipse Ditto to Apache Kafka, as Ditto's own HTTP API and piggyback commands do.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Logins)
)]
struct Description;

/// Everything that can be asked for.
pub(super) fn all(api: Api) -> Router {
    let described = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(connections::list, connections::create))
        .route("/api/2/connections/", axum::routing::get(connections::list).post(connections::create))
        .routes(routes!(connections::get, connections::put, connections::delete))
        .routes(routes!(connections::command))
        .routes(routes!(connections::status))
        .routes(routes!(connections::metrics))
        .routes(routes!(connections::logs))
        .routes(routes!(explain::explain))
        .routes(in_each_form(routes!(piggyback::piggyback)))
        .routes(routes!(health::alive))
        .routes(routes!(health::health))
        .routes(routes!(health::status_health))
        .routes(routes!(prometheus::metrics))
        .routes(in_each_form(routes!(devops::logging, devops::change_logging)))
        .routes(in_each_form(routes!(devops::config)));
    let (router, description) = described.with_state(api).split_for_parts();
    let description: Arc<str> = described::written(&description).into();
    router.merge(page::routes(description)).fallback(nothing)
}

/// As the reference says it, but for versions that it does not have.
async fn nothing(uri: axum::http::Uri) -> Response {
    let mut segments = uri.path().split('/').skip(1);
    if let (Some("api"), Some(version)) = (segments.next(), segments.next())
        && version != "2"
    {
        let message = format!("The API version `{version}` is not supported.");
        return Problem::new(ErrorCode::API_VERSION_NOT_SUPPORTED, message, "Use version 2.").into_response();
    }
    reply::text(StatusCode::NOT_FOUND, "The requested resource could not be found.")
}
