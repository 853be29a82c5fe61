//! Parameters that requests have in common (http-api.md §5).

use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Uri};
use ditto_json::Scanner;
use ditto_protocol::{ConnectionId, ErrorCode, parse_duration};

use super::problem::Problem;
use crate::registry::{Matches, Precondition};

/// The query of a request, decoded, in its order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Self {
        let pairs = reqwest::Url::parse("http://x/").map(|mut url| {
            url.set_query(uri.query());
            url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
        });
        Self(pairs.unwrap_or_default())
    }

    /// The first value of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of that name.
    pub(super) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it is there and says `true`, in any case.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// How long an answer may take, at most.
pub(super) const MAX_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the answer may take, and as it was said, if it was.
pub(super) fn timeout(query: &Query, headers: &HeaderMap) -> Result<(Duration, Option<String>), Problem> {
    let of_header = || headers.get("timeout").and_then(|value| value.to_str().ok());
    let Some(text) = query.get("timeout").or_else(of_header) else { return Ok((MAX_TIMEOUT, None)) };
    let Some(duration) = parse_duration(text) else {
        let message = format!("`{text}` is no timeout.");
        return Err(Problem::new(
            ErrorCode::TIMEOUT_INVALID,
            message,
            "Write seconds, or a number with ms, s or m.",
        ));
    };
    if duration.is_zero() {
        let message = format!("The timeout `{text}` leaves no time for an answer.");
        return Err(Problem::new(ErrorCode::HEADER_INVALID, message, "Write a timeout above 0."));
    }
    if duration > MAX_TIMEOUT {
        let message = format!("The timeout `{text}` is above 60 seconds.");
        return Err(Problem::new(ErrorCode::REQUEST_TIMEOUT_INVALID, message, "Write at most 60s."));
    }
    Ok((duration, Some(text.to_owned())))
}

/// Whether the request asks for no answer.
pub(super) fn is_unanswered(query: &Query, headers: &HeaderMap) -> Result<bool, Problem> {
    let of_header = || headers.get("response-required").and_then(|value| value.to_str().ok());
    match query.get("response-required").or_else(of_header) {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(true),
        Some(text) => {
            let message = format!("`{text}` is no value for response-required.");
            Err(Problem::new(ErrorCode::HEADER_INVALID, message, "Write true or false."))
        }
    }
}

/// Refuses a query that asks for no answer.
pub(super) fn answered(query: &Query, headers: &HeaderMap) -> Result<(), Problem> {
    if is_unanswered(query, headers)? {
        let message = "Query commands must not have the header `response-required` with the value `false`.";
        return Err(Problem::new(ErrorCode::COMMAND_HEADERS_INVALID, message, "Leave the header out."));
    }
    Ok(())
}

/// The id in a path, which was decoded.
pub(super) fn id(text: &str) -> Result<ConnectionId, Problem> {
    text.parse().map_err(|error| {
        let description = "An id has 1 to 100 of the characters a-z, A-Z, 0-9, `-`, `_` and `:`.";
        Problem::new(
            ErrorCode::CONNECTION_ID_INVALID,
            format!("The connection id is not valid: {error}"),
            description,
        )
    })
}

/// Media types that a route takes. A request that names none is taken.
pub(super) fn check_media_type(headers: &HeaderMap, accepted: &[&str]) -> Result<(), Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim();
    if accepted.iter().any(|accepted| accepted.eq_ignore_ascii_case(media_type)) {
        return Ok(());
    }
    let message = format!("The media type `{media_type}` is not supported for this resource.");
    let description = format!("Send one of {}.", accepted.join(", "));
    Err(Problem::new(ErrorCode::MEDIA_TYPE_UNSUPPORTED, message, description))
}

/// Of everything that takes JSON.
pub(super) const JSON: [&str; 2] = ["application/json", "application/octet-stream"];
/// Of `/command`.
pub(super) const TEXT: [&str; 2] = ["text/plain", "application/octet-stream"];

/// How deep JSON may be nested.
pub(super) const MAX_DEPTH: usize = 64;

/// A body as a text.
pub(super) fn text(body: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(body).map_err(|error| {
        let message = format!("The body is no UTF-8 text: {error}");
        Problem::new(ErrorCode::JSON_INVALID, message, "Send it in UTF-8.")
    })
}

/// The same, of JSON that is not nested too deep for whatever reads it next.
pub(super) fn json(body: &[u8]) -> Result<&str, Problem> {
    let text = text(body)?;
    check_depth(text)?;
    Ok(text)
}

/// Text that is no JSON is for its reader, who says more about it.
fn check_depth(text: &str) -> Result<(), Problem> {
    let mut scanner = Scanner::new(text, MAX_DEPTH);
    match scanner.value() {
        Err(error) if error.kind() == ditto_json::ScanErrorKind::TooDeep => {
            let message =
                format!("The JSON is nested deeper than {MAX_DEPTH} levels at byte {}.", error.at());
            Err(Problem::new(ErrorCode::JSON_INVALID, message, "Send JSON that is less deep."))
        }
        _ => Ok(()),
    }
}

/// What the headers `If-Match` and `If-None-Match` suppose.
pub(super) fn precondition(headers: &HeaderMap) -> Precondition {
    let named = |name: &str| {
        let values: Vec<&str> =
            headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then(|| matches(&values.join(",")))
    };
    Precondition { if_match: named("if-match"), if_none_match: named("if-none-match") }
}

/// Whatever is no tag of ours is no revision.
fn matches(text: &str) -> Matches {
    let tags: Vec<&str> = text.split(',').map(str::trim).collect();
    if tags.contains(&"*") {
        return Matches::Any;
    }
    let revision = |tag: &&str| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag.strip_prefix("\"rev:")?.strip_suffix('"')?.parse().ok()
    };
    Matches::Revisions(tags.iter().filter_map(revision).collect())
}

/// The entity tag of a revision.
pub(super) fn etag(revision: u64) -> String {
    format!("\"rev:{revision}\"")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    fn query(text: &str) -> Query {
        Query::of(&format!("/x?{text}").parse().unwrap())
    }

    #[track_caller]
    fn check_timeout(text: &str, expected: Result<u64, &str>) {
        let found = timeout(&query(&format!("timeout={text}")), &HeaderMap::new());
        let found =
            found.map(|(timeout, _)| timeout.as_millis()).map_err(|problem| problem.code().to_owned());
        assert_eq!(found, expected.map(u128::from).map_err(str::to_owned), "{text}");
    }

    #[test]
    fn timeouts() {
        check_timeout("5", Ok(5_000));
        check_timeout("500ms", Ok(500));
        check_timeout("1m", Ok(60_000));
        check_timeout("61", Err("gateway:timeout.invalid"));
        check_timeout("-1", Err("timeout.invalid"));
        check_timeout("soon", Err("timeout.invalid"));
        check_timeout("0", Err("header.invalid"));
        let of_header = timeout(&Query::default(), &headers(&[("timeout", "7s")])).unwrap();
        assert_eq!(of_header, (Duration::from_secs(7), Some("7s".to_owned())));
    }

    #[test]
    fn queries_are_decoded() {
        let query = query("fields=a%2Cb&fields=c&dry-run=TRUE&x");
        assert_eq!(query.all("fields").collect::<Vec<_>>(), ["a,b", "c"]);
        assert!(query.is_true("dry-run") && !query.is_true("x") && !query.is_true("y"));
    }

    #[test]
    fn media_types() {
        let check = |value: &str| check_media_type(&headers(&[("content-type", value)]), &JSON).is_ok();
        assert!(check("application/json") && check("Application/JSON; charset=latin1"));
        assert!(!check("text/plain") && !check("application/merge-patch+json") && !check(""));
        assert!(check_media_type(&HeaderMap::new(), &JSON).is_ok());
    }

    #[test]
    fn preconditions() {
        let of = |name: &str, value: &str| precondition(&headers(&[(name, value)]));
        assert_eq!(of("if-match", "\"rev:1\", W/\"rev:2\"").if_match, Some(Matches::Revisions(vec![1, 2])));
        assert_eq!(of("if-none-match", "*").if_none_match, Some(Matches::Any));
        assert_eq!(of("if-match", "rev:1, \"x\"").if_match, Some(Matches::Revisions(Vec::new())));
        assert_eq!(of("etag", "*"), Precondition::default());
    }

    #[test]
    fn deep_json_is_refused_before_it_is_read() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert_eq!(check_depth(&nested(MAX_DEPTH)), Ok(()));
        assert!(check_depth(&nested(MAX_DEPTH + 1)).is_err());
        assert!(check_depth(&"[".repeat(1 << 20)).is_err());
        assert_eq!(check_depth("nope"), Ok(()));
    }
}
