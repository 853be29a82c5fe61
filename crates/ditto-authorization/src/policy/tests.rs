use crate::Policy;

#[track_caller]
fn check(text: &str, expected: Result<(), (&str, &str)>) {
    let parsed = text.parse::<Policy>();
    let found = parsed.as_ref().map(drop).map_err(|error| (error.code().name(), error.place()));
    assert_eq!(found, expected, "{text}");
}

fn entry(inner: &str) -> String {
    format!(r#"{{"policyId":"a:p","entries":{{"e":{{{inner}}}}}}}"#)
}

#[test]
fn what_a_policy_may_leave_out() {
    for text in
        ["{}", r#"{"policyId":null,"entries":null,"imports":null}"#, r#"{"entries":{"__schemaVersion":2}}"#]
    {
        check(text, Ok(()));
    }
    for inner in [
        "",
        r#""unknown":[1],"subjects":null,"resources":null,"references":null"#,
        r#""subjects":{"{{ request:subjectId }}":{"type":"","expiry":"2001-01-01T00:00:00Z"}}"#,
        r#""resources":{"x:":{"grant":["FLY",1],"revoke":[]},"thing:attributes/":{"grant":[],"revoke":["READ"]}}"#,
        r#""namespaces":[],"allowedAdditions":[],"importable":"never""#,
        r#""subjects":{"a:b":{"type":"t","announcement":{"beforeExpiry":"5m","whenDeleted":true,
            "requestedAcks":{"labels":["my:label",7],"timeout":"10s"},"randomizationInterval":"500ms"}}}"#,
    ] {
        check(&entry(inner), Ok(()));
    }
}

#[test]
fn mistakes_have_a_code_and_a_place() {
    check("[]", Err(("json.invalid", "")));
    check(r#"{"policyId":"p"}"#, Err(("policies:id.invalid", "/policyId")));
    check(r#"{"entries":[]}"#, Err(("json.invalid", "/entries")));
    check(r#"{"entries":{"a/b":{}}}"#, Err(("policies:entry.invalid", "/entries/a~1b")));
    check(r#"{"entries":{"imported-x":{}}}"#, Err(("policies:label.invalid", "/entries/imported-x")));
    check(r#"{"entries":{"e":1}}"#, Err(("json.invalid", "/entries/e")));
    check(r#"{"policyId":"a:p","imports":{"a:p":{}}}"#, Err(("policies:import.invalid", "/imports/a:p")));
    check(r#"{"imports":{"p":{}}}"#, Err(("policies:id.invalid", "/imports/p")));
    check(
        r#"{"imports":{"a:b":{"transitiveImports":["a:c",1]}}}"#,
        Err(("policies:import.invalid", "/imports/a:b/transitiveImports/1")),
    );
    for (inner, code, place) in [
        (r#""subjects":{"a:b":{}}"#, "json.field.missing", "/subjects/a:b"),
        (r#""subjects":{"ab":{"type":"t"}}"#, "policies:subjectid.invalid", "/subjects/ab"),
        (
            r#""subjects":{"a:b":{"type":"t","expiry":"x"}}"#,
            "policies:subjectexpiry.invalid",
            "/subjects/a:b/expiry",
        ),
        (
            r#""subjects":{"a:b":{"type":"t","announcement":{"beforeExpiry":"5ms"}}}"#,
            "policies:subjectannouncement.invalid",
            "/subjects/a:b/announcement/beforeExpiry",
        ),
        (r#""resources":{"thing":{"grant":[],"revoke":[]}}"#, "json.invalid", "/resources/thing"),
        (
            r#""resources":{"thing://a":{"grant":[],"revoke":[]}}"#,
            "json.pointer.invalid",
            "/resources/thing:~1~1a",
        ),
        (r#""resources":{"thing:/":{"grant":[]}}"#, "json.field.missing", "/resources/thing:~1"),
        (
            r#""resources":{"thing:/":{"grant":"READ","revoke":[]}}"#,
            "json.invalid",
            "/resources/thing:~1/grant",
        ),
        (r#""namespaces":["a","*"]"#, "policies:entry.invalid", "/namespaces/1"),
        (r#""allowedAdditions":["labels"]"#, "policies:entry.invalid", "/allowedAdditions/0"),
        (r#""importable":"maybe""#, "policies:entry.invalid", "/importable"),
        (r#""references":[1]"#, "policies:entry.invalid", "/references/0"),
        (r#""references":[{}]"#, "json.field.missing", "/references/0"),
        (r#""references":[{"entry":"e","import":""}]"#, "json.invalid", "/references/0/import"),
    ] {
        check(&entry(inner), Err((code, &format!("/entries/e{place}"))));
    }
}

#[test]
fn bounds() {
    check(&format!(r#"{{"x":"{}"}}"#, "x".repeat(1 << 20)), Err(("policies:policy.toolarge", "")));
    check(&"[".repeat(100_000), Err(("json.invalid", "")));
    let key = format!("thing:{}", "/a".repeat(129));
    let place = format!("/entries/e/resources/{}", key.replace('/', "~1"));
    check(
        &entry(&format!(r#""resources":{{"{key}":{{"grant":[],"revoke":[]}}}}"#)),
        Err(("policies:entry.invalid", &place)),
    );
}

#[test]
fn an_error_says_what_to_do() {
    let error = entry(r#""importable":"maybe""#).parse::<Policy>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "/entries/e/importable: `\"maybe\"` cannot stand here; write `implicit`, `explicit` or `never`"
    );
}
