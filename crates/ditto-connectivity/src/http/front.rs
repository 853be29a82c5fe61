//! What happens to every request before it is routed, and to every answer.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION,
    CONTENT_LENGTH, HOST, ORIGIN, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use ditto_protocol::ErrorCode;
use http_body_util::LengthLimitError;
use hyper::body::{Body as _, Incoming};
use tower::Service;
use tracing::warn;

use super::problem::Problem;
use super::realm::{Caller, Realm, Refusal, Role};
use super::reply;

/// Who asks, from where.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    pub(super) caller: Caller,
    pub(super) from: SocketAddr,
    pub(super) correlation_id: Arc<str>,
}

/// What stands before the routes.
pub(super) struct Front {
    realm: Realm,
    routes: Router,
    cors: bool,
    /// A whole body must be there in this time.
    body_time: Duration,
}

/// Bodies of requests (http-api.md §2).
const MAX_BODY: usize = 1 << 20;
/// As the reference has it.
const MAX_URI: usize = 8 << 10;
/// Of one header, as the reference has it.
const MAX_HEADER_VALUE: usize = 16 << 10;
const MAX_CORRELATION_ID: usize = 256;
const CORRELATION_ID: &str = "correlation-id";
const RESPONSE_REQUIRED: &str = "response-required";
const METHODS: &str = "OPTIONS, GET, PUT, PATCH, POST, HEAD, DELETE";
const CHALLENGE: &str = "Basic realm=\"DITTO-DEVOPS\",charset=UTF-8";

/// Whom a path is for. It is decided by the text of the path as it came: what is routed is that text, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    Anybody,
    Role(Role),
}

impl Front {
    pub(super) fn new(realm: Realm, routes: Router, cors: bool, body_time: Duration) -> Self {
        Self { realm, routes, cors, body_time }
    }

    /// Answers a request, whatever it is.
    pub(super) async fn answer(&self, from: SocketAddr, request: Request<Incoming>) -> Response {
        let correlation_id = correlation_id(request.headers());
        let origin = request.headers().get(ORIGIN).cloned();
        let asked_headers = request.headers().get_all(ACCESS_CONTROL_REQUEST_HEADERS);
        let asked_headers: Vec<HeaderValue> = asked_headers.iter().cloned().collect();
        let has_body = !request.body().is_end_stream();
        let admitted = self.admitted(from, &correlation_id, request.map(Body::new)).await;
        let is_read = admitted.as_ref().is_ok_and(|request| request.extensions().get::<Asking>().is_some());
        let mut response = match admitted {
            Ok(request) => self.routed(request).await,
            Err(refused) => refused,
        };
        let headers = response.headers_mut();
        if has_body && !is_read {
            // Nobody waits for the rest.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Ok(id) = HeaderValue::from_str(&correlation_id) {
            headers.insert(CORRELATION_ID, id);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        if self.cors {
            allow_origin(headers, origin, &asked_headers);
        }
        response
    }

    /// A request that may be routed, whole and with who asks, if it has to be somebody; or why not.
    async fn admitted(
        &self,
        from: SocketAddr,
        correlation_id: &Arc<str>,
        request: Request,
    ) -> Result<Request, Response> {
        if let Some(refused) = ambiguous(&request).or_else(|| too_large(&request)) {
            return Err(refused);
        }
        if self.cors && request.method() == Method::OPTIONS {
            return Err(reply::empty(StatusCode::OK));
        }
        let Audience::Role(needed) = audience(request.method(), request.uri().path()) else {
            return Ok(request);
        };
        let credentials = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let caller = match self.realm.caller(credentials, from.ip()).await {
            Ok(caller) => caller,
            Err(refusal) => {
                // Those that come too often are not all told.
                if credentials.is_some() && refusal == Refusal::Unknown {
                    warn!(target: "audit", from = %from.ip(), %correlation_id, "login refused");
                }
                return Err(refused(refusal));
            }
        };
        if caller.role < needed {
            let who = &*caller.name;
            warn!(target: "audit", who, from = %from.ip(), %correlation_id, "not allowed");
            let message = format!("The user `{who}` may read status and metrics only.");
            return Err(Problem::new(ErrorCode::FORBIDDEN, message, "Log in as devops.").into_response());
        }
        let mut request = self.read(request).await?;
        if request.method() == Method::HEAD {
            // The reference takes no HEAD; the router would take one for a GET.
            *request.method_mut() = Method::from_bytes(b"X-HEAD").unwrap_or(Method::TRACE);
        }
        let asking = Asking { caller, from, correlation_id: correlation_id.clone() };
        request.extensions_mut().insert(asking);
        Ok(request)
    }

    async fn routed(&self, request: Request) -> Response {
        // A router is always ready.
        match self.routes.clone().call(request).await {
            Ok(response) => finished(response),
            Err(never) => match never {},
        }
    }

    /// Reads the body, in bounded time and size: what is beyond is not read.
    async fn read(&self, request: Request) -> Result<Request, Response> {
        let too_large = || reply::empty(StatusCode::PAYLOAD_TOO_LARGE);
        let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.parse::<usize>().ok());
        if length.is_some_and(|length| length > MAX_BODY) {
            return Err(too_large());
        }
        let (head, body) = request.into_parts();
        let Ok(read) = tokio::time::timeout(self.body_time, to_bytes(body, MAX_BODY)).await else {
            let message = "The body of the request did not come in time.";
            return Err(Problem::new(ErrorCode::COMMAND_TIMEOUT, message, "Send it at once.").into_response());
        };
        match read {
            Ok(bytes) => Ok(Request::from_parts(head, Body::from(bytes))),
            Err(error) if error.source().is_some_and(|it| it.is::<LengthLimitError>()) => Err(too_large()),
            Err(_) => Err(reply::text(StatusCode::BAD_REQUEST, "The body of the request is broken.")),
        }
    }
}

fn audience(method: &Method, path: &str) -> Audience {
    let segments: Vec<&str> = path.split('/').skip(1).take(7).collect();
    match segments.as_slice() {
        ["devops", ..] => Audience::Role(Role::Devops),
        ["metrics"] | ["status", ..] => Audience::Role(Role::Status),
        ["api", _, "connections", _, "status" | "metrics"] if method == Method::GET => {
            Audience::Role(Role::Status)
        }
        ["api", _, "connections", ..] => Audience::Role(Role::Devops),
        _ => Audience::Anybody,
    }
}

/// Whoever stands in front may have another host in mind (RFC 9112, 3.2). Two ends of a body are hyper's business.
fn ambiguous(request: &Request) -> Option<Response> {
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts == 1 || hosts == 0 && request.version() < Version::HTTP_11 {
        return None;
    }
    let mut response = reply::text(StatusCode::BAD_REQUEST, "A request has one header Host.");
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Some(response)
}

fn too_large(request: &Request) -> Option<Response> {
    let uri = request.uri();
    let length = uri.path().len() + uri.query().map_or(0, |query| 1 + query.len());
    if length > MAX_URI {
        return Some(reply::text(StatusCode::URI_TOO_LONG, format!("URIs have at most {MAX_URI} bytes.")));
    }
    let is_too_large = |value: &HeaderValue| value.len() > MAX_HEADER_VALUE;
    request.headers().values().any(is_too_large).then(|| {
        let why = format!("A header has at most {MAX_HEADER_VALUE} bytes.");
        reply::text(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, why)
    })
}

fn refused(refusal: Refusal) -> Response {
    let seconds = |response: Response, seconds: u64| {
        let mut response = response;
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
        response
    };
    match refusal {
        Refusal::Unknown => {
            let why =
                "The resource requires authentication, which was not supplied with the request or is wrong.";
            let mut response = reply::text(StatusCode::UNAUTHORIZED, why);
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
            response
        }
        Refusal::TooManyFailures(wait) => {
            let problem = Problem::new(
                ErrorCode::LOGINS_FAILED,
                "Too many logins from this address have failed.",
                "Wait, and use the right password.",
            );
            seconds(problem.into_response(), wait.max(Duration::from_secs(1)).as_secs())
        }
        Refusal::Busy => {
            let problem = Problem::new(
                ErrorCode::LOGINS_BUSY,
                "Too many passwords are being checked.",
                "Try again in a moment.",
            );
            seconds(problem.into_response(), 1)
        }
    }
}

/// What the router answers by itself, as the reference says it.
fn finished(mut response: Response) -> Response {
    let status = response.status();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = response.headers().get(ALLOW).and_then(|allowed| allowed.to_str().ok());
        let mut allowed: Vec<&str> =
            allowed.unwrap_or_default().split(',').map(str::trim).filter(|it| *it != "HEAD").collect();
        let rank = |method: &&str| ["PUT", "GET", "POST", "DELETE"].iter().position(|it| it == method);
        allowed.sort_by_key(rank);
        let allowed = allowed.join(", ");
        response = reply::text(status, format!("HTTP method not allowed, supported methods: {allowed}"));
        response = reply::with(response, "allow", &allowed);
    }
    response.headers_mut().entry(RESPONSE_REQUIRED).or_insert(HeaderValue::from_static("false"));
    response
}

fn correlation_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(CORRELATION_ID).and_then(|id| id.to_str().ok());
    let given = given.filter(|id| (1..=MAX_CORRELATION_ID).contains(&id.len()));
    given.map_or_else(|| uuid::Uuid::new_v4().to_string().into(), Into::into)
}

/// As the reference does: credentials are in headers that a page has to know, so any page may ask.
fn allow_origin(headers: &mut HeaderMap, origin: Option<HeaderValue>, asked: &[HeaderValue]) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.unwrap_or(HeaderValue::from_static("*")));
    headers.insert(VARY, HeaderValue::from_name(ORIGIN));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    let asked: Vec<&str> = asked.iter().filter_map(|names| names.to_str().ok()).collect();
    if !asked.is_empty() {
        let names =
            asked.iter().flat_map(|names| names.split(',')).map(str::trim).collect::<Vec<_>>().join(", ");
        if let Ok(names) = HeaderValue::from_str(&names) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_for_whom_its_text_says() {
        let get = |path| audience(&Method::GET, path);
        let devops = Audience::Role(Role::Devops);
        for path in [
            "/api/2/connections",
            "/api/2/connections/",
            "/api/1/connections",
            "/api/2/connections/x/logs",
            "/api/2/connections/x/status/",
            "/api/2/connections//",
            "/devops/logging",
            "/devops",
            "/devops/",
            "/api/2/connections/x%2Fstatus",
            "/api/2/connections/../status/x",
        ] {
            assert_eq!(get(path), devops, "{path}");
        }
        for path in
            ["/metrics", "/status/health", "/api/2/connections/x/status", "/api/2/connections/x/metrics"]
        {
            assert_eq!(get(path), Audience::Role(Role::Status), "{path}");
        }
        assert_eq!(audience(&Method::POST, "/api/2/connections/x/status"), devops);
        for path in ["/", "/health", "/api/2/things", "//devops/logging", "/%64evops", "/api/2/connectionsx"]
        {
            assert_eq!(get(path), Audience::Anybody, "{path}");
        }
    }
}
