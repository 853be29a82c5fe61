use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn scan(text: &str, max_depth: usize) -> Result<RawJson<'_>, ScanError> {
    let mut scanner = Scanner::new(text, max_depth);
    let value = scanner.value()?;
    scanner.end().map(|()| value)
}

#[track_caller]
fn check(text: &str, expected: Result<bool, ScanError>) {
    assert_eq!(scan(text, 3).map(RawJson::has_plain_names), expected, "{text}");
}

fn syntax(at: usize, expected: Expected) -> Result<bool, ScanError> {
    Err(ScanError { at, kind: ScanErrorKind::Expected(expected) })
}

fn kind_of(scanned: Result<RawJson<'_>, ScanError>) -> Option<ScanErrorKind> {
    scanned.err().map(|error| error.kind())
}

#[test]
fn errors_have_their_place() {
    check(r#" {"a": [1, {"b": null}]} "#, Ok(true));
    check("[[[1]]]", Ok(true));
    check("[[[[1]]]]", Err(ScanError { at: 3, kind: ScanErrorKind::TooDeep }));
    check(r#"{"a":{"" : 1}}"#, Err(ScanError { at: 6, kind: ScanErrorKind::EmptyName }));
    check(r#"{"a":["",""]}"#, Ok(true));
    check("{\"a\"}", syntax(4, Expected::Colon));
    check("{\"a\":1,}", syntax(7, Expected::MemberName));
    check("[1,]", syntax(3, Expected::Value));
    check("[1}", syntax(2, Expected::CommaOrBracket));
    check("{\"a\":1]", syntax(6, Expected::CommaOrBrace));
    check("01", syntax(0, Expected::NoLeadingZero));
    check("-", syntax(1, Expected::NoLeadingZero));
    check("1.e5", syntax(2, Expected::Digit));
    check("1e", syntax(2, Expected::Digit));
    check("\"a", syntax(2, Expected::Quote));
    check("\"a\\x\"", syntax(2, Expected::Escape));
    check("\"a\n\"", syntax(2, Expected::EscapedControl));
    check("nul", syntax(0, Expected::Value));
    check("", syntax(0, Expected::Value));
    check("1 2", syntax(2, Expected::End));
    check("\u{feff}{}", syntax(0, Expected::Value));
}

#[test]
fn names_that_need_a_look_are_told() {
    for (text, is_plain) in [
        (r#"{"a b-c_d.e:f": {"0": 1}}"#, true),
        (r#"{"a": {"b/c": 1}}"#, false),
        (r#"{"a": [{"\u0062": 1}]}"#, false),
        (r#"{"ä": 1}"#, false),
        ("{\"a\u{7f}\": 1}", false),
        (r#"{"a": "b/c"}"#, true),
    ] {
        check(text, Ok(is_plain));
    }
    for (length, is_plain) in [(256, true), (257, false)] {
        check(&format!("{{\"{}\": 1}}", "n".repeat(length)), Ok(is_plain));
    }
}

#[test]
fn compact_values_are_told() {
    for (text, is_compact) in [
        (r#"  {"a b":[1,"c d"]}"#, true),
        (r#"{"a":1 }"#, false),
        ("[1,\n2]", false),
        (r#"["\u0061"]"#, false),
        (r#"{"\n":1}"#, false),
        ("5  ", true),
    ] {
        assert_eq!(scan(text, 3).map(RawJson::is_compact), Ok(is_compact), "{text}");
    }
}

#[test]
fn any_depth_is_walked_without_recursion() {
    let text = format!("{}1{}", "[{\"a\":".repeat(300), "}]".repeat(300));
    assert!(scan(&text, 600).is_ok());
    assert!(kind_of(scan(&text, 599)) == Some(ScanErrorKind::TooDeep));
    // Around the edges of a word the kind of each level is still known.
    for depth in 60..200 {
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth - 1));
        assert!(
            kind_of(scan(&(text.clone() + "}"), 600))
                == Some(ScanErrorKind::Expected(Expected::CommaOrBracket))
        );
        assert!(scan(&(text + "]"), 600).is_ok());
    }
}

#[test]
fn members_are_handed_out_with_their_values() {
    let mut scanner = Scanner::new(r#" {"a" : [1, "]"] ,"b\u0063":{"d":1},"e":{} } "#, 3);
    let mut members = Vec::new();
    scanner
        .object(|scanner, name| {
            let name = name.decode().unwrap_or_default().into_owned();
            if name == "bc" {
                return scanner.object(|scanner, name| {
                    members.push((name.plain().unwrap_or_default().to_owned(), scanner.value()?.text()));
                    Ok(())
                });
            }
            members.push((name, scanner.value()?.text()));
            Ok(())
        })
        .unwrap();
    scanner.end().unwrap();
    let expected =
        [("a", r#"[1, "]"]"#), ("d", "1"), ("e", "{}")].map(|(name, text)| (name.to_owned(), text));
    assert_eq!(members, expected);
}

/// Texts that are JSON, or nearly.
fn texts() -> impl Strategy<Value = String> {
    const PIECES: [&str; 26] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"\\u00e4\"",
        "\"\\",
        "0",
        "-1",
        "1.5e+3",
        "01",
        ".",
        "e",
        "true",
        "null",
        "tru",
        " ",
        "\n",
        "\u{1}",
        "ä",
        "\"a\":",
        "{\"b\":1}",
        "[[]]",
    ];
    prop::collection::vec(prop::sample::select(&PIECES[..]), 0..14).prop_map(|pieces| pieces.concat())
}

fn values() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        ".*".prop_map(serde_json::Value::from),
    ];
    let value = leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::btree_map(".{1,9}", inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    });
    (value, any::<bool>())
        .prop_map(|(value, spaced)| if spaced { format!("{value:#}") } else { value.to_string() })
}

proptest! {
    #[test]
    fn takes_what_serde_takes(text in prop_oneof![texts(), values(), ".*"]) {
        let expected = serde_json::from_str::<&RawValue>(&text).ok().map(RawValue::get);
        match scan(&text, 1_000) {
            Ok(value) => prop_assert_eq!(Some(value.text()), expected),
            Err(error) if error.kind() == ScanErrorKind::EmptyName => {}
            Err(error) => prop_assert_eq!(expected, None, "{}", error),
        }
    }

    #[test]
    fn a_cut_text_is_refused(text in values(), cut in any::<prop::sample::Index>()) {
        prop_assert!(scan(&text, 1_000).is_ok());
        let mut at = cut.index(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let cut = text.get(..at).unwrap_or_default();
        prop_assert_eq!(scan(cut, 1_000).is_ok(), serde_json::from_str::<&RawValue>(cut).is_ok());
    }
}
