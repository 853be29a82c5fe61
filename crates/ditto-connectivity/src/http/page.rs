//! The description of the API, and a page to try it: served from the binary, with nothing from elsewhere.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use axum::response::{Redirect, Response};
use axum::routing::get;
use utoipa::Modify;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use super::reply;

/// The page may load what comes from here, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Ways to log in.
pub(super) struct Logins;

impl Modify for Logins {
    fn modify(&self, api: &mut OpenApi) {
        let components = api.components.get_or_insert_default();
        let basic = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
        components.add_security_scheme("devops", basic);
    }
}

/// Whoever reads the description learns nothing of this service that is not in its documents.
pub(super) fn routes(description: Arc<str>) -> Router {
    let json =
        move || async move { reply::typed(StatusCode::OK, "application/json", description.to_string()) };
    Router::new()
        .route("/", get(|| async { Redirect::permanent("/apidoc") }))
        .route("/apidoc", get(|| async { file("text/html; charset=UTF-8", include_str!("page/page.html")) }))
        .route(
            "/apidoc/page.js",
            get(|| async { file("text/javascript; charset=UTF-8", include_str!("page/page.js")) }),
        )
        .route(
            "/apidoc/page.css",
            get(|| async { file("text/css; charset=UTF-8", include_str!("page/page.css")) }),
        )
        .route("/apidoc/openapi.json", get(json))
}

fn file(content_type: &'static str, content: &'static str) -> Response {
    let mut response = reply::typed(StatusCode::OK, content_type, content);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}
