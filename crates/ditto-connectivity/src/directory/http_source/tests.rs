use expect_test::{Expect, expect};

use super::*;

fn source(url: &str, login: HttpLogin, ca_pem: Option<&str>) -> Result<HttpSource, DirectoryError> {
    HttpSource::new(&HttpConfig { url: url.to_owned(), login, ca_pem: ca_pem.map(str::to_owned) })
}

#[track_caller]
fn check(source: Result<HttpSource, DirectoryError>, expected: Expect) {
    let text = match source {
        Ok(source) => source.url.to_string(),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&text);
}

#[test]
fn what_cannot_be_used_is_told_at_the_start_and_without_secrets() {
    check(source("https://ditto/prefix", HttpLogin::None, None), expect!["https://ditto/prefix/"]);
    let token = HttpLogin::Bearer(SecretString::from("se\ncret"));
    check(
        source("https://ditto", token, None),
        expect!["the directory cannot be started: it has a character that cannot be in a header"],
    );
    check(
        source("https://ditto", HttpLogin::None, Some("no certificate")),
        expect!["the directory cannot be started: its ca_file holds no certificate"],
    );
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check(
        source("https://ditto", HttpLogin::None, Some(broken)),
        expect!["the directory cannot be started: invalid peer certificate: BadEncoding"],
    );
    let login = HttpLogin::Basic { username: "me".to_owned(), password: SecretString::from("s3cret") };
    let debug = format!("{:?}", source("http://ditto", login, None));
    assert!(!debug.contains("s3cret") && !debug.contains(&BASE64.encode("me:s3cret")), "{debug}");
}

#[test]
fn pauses_are_seconds_or_dates() {
    let pause = |text: &str| pause(&HeaderValue::from_str(text).unwrap());
    assert_eq!(pause("7"), Some(Duration::from_secs(7)));
    assert_eq!(pause("soon"), None);
    assert_eq!(pause("Wed, 21 Oct 2015 07:28:00 GMT"), None, "that is over");
    assert!(pause("Thu, 30 Dec 9999 07:28:00 GMT").is_some_and(|pause| pause > Duration::from_secs(1 << 30)));
}
