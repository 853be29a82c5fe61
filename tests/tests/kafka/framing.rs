//! Requests that are not what they seem, or none.

use anyhow::ensure;
use ditto_tests::api::password;
use ditto_tests::http::{self, Answer};

use super::hostile::{Scene, exchange, login};

/// Requests that two readers might find different ends of, none of which is taken for two; and what is none.
#[test]
fn what_follows_a_request_is_never_smuggled() -> anyhow::Result<()> {
    let scene = Scene::start("hostile-framing")?;
    let (put, login) = ("PUT /devops/logging HTTP/1.1\r\nhost: x\r\n", login());
    let body = "{\"level\":\"info\"}";
    let (smuggled, next) = (
        "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /alive HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    let chunked = format!("10\r\n{body}\r\n0\r\n\r\n");
    let with = |headers: &str, body: &str| format!("{put}{login}{headers}\r\n\r\n{body}{next}");
    let get = |headers: &str| format!("GET /alive HTTP/1.1\r\n{headers}\r\n\r\n{next}");
    let long = "x".repeat(1 << 17);
    let cases: Vec<(String, &[u16])> = vec![
        // One end, and the next request.
        (with("content-length: 16", body), &[200, 200]),
        (with("content-length: 16\r\ncontent-length: 16", body), &[200, 200]),
        (with("transfer-encoding: chunked", &chunked), &[200, 200]),
        (next.replace("connection: close\r\n", "").repeat(99) + next, &[200; 100]),
        // Two ends: the chunks count, and nothing after them.
        (with("content-length: 5\r\ntransfer-encoding: chunked", &chunked), &[200]),
        (with("transfer-encoding: chunked\r\ncontent-length: 5", &chunked), &[200]),
        (with("content-length: 16\r\ncontent-length: 17", body), &[400]),
        (with("content-length: 16, 16", body), &[400]),
        (with("content-length: +16", body), &[400]),
        (with("content-length: -16", body), &[400]),
        (with("content-length: 0x10", body), &[400]),
        (with("content-length:", body), &[400]),
        (with("content-length: 99999999999999999999", body), &[400]),
        (with("transfer-encoding: identity", body), &[400]),
        (with("transfer-encoding: chunked, identity", &chunked), &[400]),
        (with("transfer-encoding: xchunked", &chunked), &[400]),
        (with("transfer-encoding: chunked\r\ntransfer-encoding: identity", &chunked), &[400]),
        (with("transfer-encoding : chunked", &chunked), &[400]),
        (with("transfer-encoding: \u{b}chunked", &chunked), &[400]),
        (with("x: y\r\n transfer-encoding: chunked", &chunked), &[400]),
        // Chunks that are none.
        (with("transfer-encoding: chunked", "zz\r\n"), &[400]),
        (with("transfer-encoding: chunked", "-1\r\n"), &[400]),
        (with("transfer-encoding: chunked", "10000000000000000\r\n"), &[400]),
        (with("transfer-encoding: chunked", &format!("10;{long}\r\n{body}\r\n0\r\n\r\n")), &[400]),
        (with("transfer-encoding: chunked", &format!("10\r\n{body}\r\n0\r\nx: {long}\r\n\r\n")), &[400]),
        (with("transfer-encoding: chunked", &format!("10\r\n{body}x0\r\n\r\n")), &[400]),
        // A body that nobody reads is no request either.
        (
            format!(
                "GET /alive HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{smuggled}{next}",
                smuggled.len()
            ),
            &[200],
        ),
        (format!("{put}content-length: {}\r\n\r\n{smuggled}{next}", smuggled.len()), &[401]),
        (format!("{put}transfer-encoding: chunked\r\n\r\n{chunked}{smuggled}{next}"), &[401]),
        // Hosts.
        (get("host: x"), &[200, 200]),
        (get("x: y"), &[400]),
        (get("host: x\r\nhost: y"), &[400]),
        // Other versions, and no HTTP.
        ("GET /alive HTTP/1.0\r\n\r\n".to_owned(), &[200]),
        (format!("{}transfer-encoding: chunked\r\n\r\n{chunked}", put.replace("1.1", "1.0")), &[400]),
        (format!("GET /alive\r\n\r\n{next}"), &[400]),
        (format!("GET /alive HTTP/1.1 \r\nhost: x\r\n\r\n{next}"), &[400]),
        (format!("GET /alive HTTP/3.0\r\nhost: x\r\n\r\n{next}"), &[400]),
        (format!("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}{next}"), &[400]),
        (get("host: x\r\nx\u{0}: y"), &[400]),
        (get("host: x\r\nx: \u{0}"), &[400]),
        (get("host: x\r\nx y: z"), &[400]),
        (get("host: x\r\n: y"), &[400]),
        (get("host: x\r\nno colon"), &[400]),
    ];
    for (text, expected) in &cases {
        let said = exchange(scene.api.address(), text.as_bytes())?;
        ensure!(said == *expected, "{said:?} and not {expected:?}: {text:.300?}");
    }
    for text in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\r\n\r\n\r\n\r\n\u{1}", "\u{0}"] {
        let said = exchange(scene.api.address(), format!("{text}{next}").as_bytes())?;
        ensure!(said.is_empty() || said == [400], "{said:?}: {text:?}");
    }
    paths(&scene)?;
    media_types(&scene)?;
    scene.ensure_bounded("requests that are none")?;
    scene.end()
}

/// However a path is written, it leads to what its text says, or nowhere.
fn paths(scene: &Scene) -> anyhow::Result<()> {
    for (path, status) in [
        ("/devops/logging", 401),
        ("//devops/logging", 404),
        ("/./devops/logging", 404),
        ("/health/../devops/logging", 404),
        ("/%2e%2e/devops/logging", 404),
        ("/alive/%2e%2e/devops/logging", 404),
        ("/alive%2f..%2fdevops%2flogging", 404),
        ("/%64evops/logging", 404),
        ("/devops%2flogging", 404),
        ("/DEVOPS/logging", 404),
        ("/devops;x/logging", 404),
        ("/alive;/devops/logging", 404),
        ("/alive%00", 404),
        ("/alive%0d%0aset-cookie:x", 404),
        ("/alive/", 404),
        ("/%c0%ae%c0%ae/devops/logging", 404),
        ("/%e0%80%ae/devops/logging", 404),
        ("/%252e%252e/devops/logging", 404),
        ("/%uff0e%uff0e/devops/logging", 404),
        ("/alive\\..\\devops\\logging", 404),
        ("/apidoc/../../etc/passwd", 404),
        ("/apidoc/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404),
        ("/apidoc/page.js%00.html", 404),
        ("/api/2/connections/../../../devops/logging", 401),
        ("/api/2/connections/%2e%2e", 401),
        ("/api/2/connections/x%2fstatus", 401),
        ("/api/2/connections/c/status?/../../devops", 401),
        ("/devops/../alive", 401),
        ("/devops//logging", 401),
        ("/devops/%2e%2e/alive", 401),
        ("http://elsewhere/devops/logging", 401),
        ("http://elsewhere/alive", 200),
        ("http://u:p@elsewhere/metrics", 401),
        ("*", 404),
        ("alive", 404),
        ("/alive\u{0}", 400),
        ("/al\tive", 400),
        ("/al ive", 400),
        ("", 400),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let said = exchange(scene.api.address(), request.as_bytes())?;
        ensure!(said == [status], "{path:?}: {said:?} and not {status}");
    }
    // With the right login there is nothing at these either.
    for (path, status) in [
        ("/api/2/connections/c", 200),
        ("/api/2/connections/%63", 200),
        ("/api/2/connections/c/", 404),
        ("/api/2/connections/c%2fstatus", 400),
        ("/api/2/connections/%2e%2e", 400),
        ("/api/2/connections/..", 400),
        ("/api/2/connections/c%00", 400),
        ("/api/2/connections/%ff", 400),
        ("/api/2/connections/%c0%af", 400),
        ("/api/2/connections/%C3%A9", 400),
        ("/api/2/connections//status", 400),
        ("/api/2/connections/c/../c", 404),
        ("/api/2//connections", 404),
        ("/api/%32/connections", 404),
        ("/devops/logging/%2e%2e", 408),
        ("/devops/logging/%ff", 408),
        ("/devops/logging/connectivity/..", 408),
        ("/devops/config?path=..%2f..", 404),
        ("/devops/../devops/logging", 404),
    ] {
        let answer = scene.api.ask("GET", path, None)?;
        ensure!(answer.status == status, "{path}: {} and not {status}", answer.status);
    }
    // Bytes that are no text, and methods that nothing has.
    for (line, status) in [
        (b"GET /al\xffive HTTP/1.1".as_slice(), vec![404, 400]),
        (b"GET /al\xc3\xa9ive HTTP/1.1", vec![404, 400]),
        (b"G\xffT /alive HTTP/1.1", vec![400]),
        (b"BREW /alive HTTP/1.1", vec![405]),
        (b"TRACE /alive HTTP/1.1", vec![405]),
        (b"CONNECT elsewhere:80 HTTP/1.1", vec![404]),
    ] {
        let rest = b"\r\nhost: x\r\nconnection: close\r\n\r\n".as_slice();
        let said = exchange(scene.api.address(), &[line, rest].concat())?;
        ensure!(said.len() == 1 && said.iter().all(|it| status.contains(it)), "{line:?}: {said:?}");
    }
    Ok(())
}

fn media_types(scene: &Scene) -> anyhow::Result<()> {
    let of = |path: &str, media_type: Option<&str>| -> anyhow::Result<Answer> {
        let mut headers = vec![("authorization".to_owned(), http::basic("devops", &password()))];
        headers.extend(media_type.map(|it| ("content-type".to_owned(), it.to_owned())));
        http::request(scene.api.address(), "POST", path, &headers, Some(b"{}"))
    };
    let (create, command) = ("/api/2/connections", "/api/2/connections/c/command");
    for (path, media_type, status) in [
        (create, Some("application/json"), 400),
        (create, Some("application/JSON;charset=\"utf-16\""), 400),
        (create, Some("application/octet-stream"), 400),
        (create, None, 400),
        (create, Some("text/plain"), 415),
        (create, Some("text/html"), 415),
        (create, Some("application/xml"), 415),
        (create, Some("multipart/form-data; boundary=x"), 415),
        (create, Some("application/x-www-form-urlencoded"), 415),
        (create, Some("application/json, text/plain"), 415),
        (create, Some("application/jsonp"), 415),
        (create, Some("json"), 415),
        (create, Some(""), 415),
        (create, Some("\u{e9}"), 415),
        (command, Some("application/json"), 415),
        (command, Some("text/plain; charset=utf-8"), 400),
    ] {
        let answer = of(path, media_type)?;
        ensure!(answer.status == status, "{path} {media_type:?}: {} and not {status}", answer.status);
        let code = answer.json()["error"].as_str().map(str::to_owned).unwrap_or_default();
        ensure!((code == "mediatype.unsupported") == (status == 415), "{code}");
    }
    Ok(())
}
