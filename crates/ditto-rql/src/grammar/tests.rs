use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::arbitrary::filter;
use crate::{Filter, Reason};

#[track_caller]
fn check(text: &str, expected: &str) {
    let parsed = match text.parse::<Filter>() {
        Ok(filter) => filter.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(parsed, expected, "{text}");
}

#[test]
fn canonical_form() {
    check(" \n eq(/attributes/n,+5 )", "eq(attributes/n,5)");
    check(
        "in(attributes/n,'a\"b' ,\"\\u0041\\/\" ,-0.0,null)",
        "in(attributes/n,\"a\\\"b\",\"A/\",-0.0,null)",
    );
    check("and(exists(features/x), empty(thingId))", "and(exists(features/x),empty(thingId))");
    check("ilike(attributes/n,\"a**b\")", "ilike(attributes/n,\"a*b\")");
    check("lt(_modified,time:now-1h )", "lt(_modified,time:now-1h )");
    check("eq(attributes/a\\u002cb\\u0029,'\\n\\u0001')", "eq(attributes/a\\u002cb\\u0029,\"\\n\\u0001\")");
    check("eq(attributes/\\ud83d\\ude00,1)", "eq(attributes/😀,1)");
}

#[track_caller]
fn shows(text: &str, expected: Expect) {
    let error = text.parse::<Filter>().unwrap_err();
    expected.assert_eq(&format!("{}\n", error.pointing_into(text)));
}

#[test]
fn mistakes_are_pointed_at() {
    shows(
        "eq(attributes/n, 5)",
        expect![[r#"
        expected a literal (a number, a quoted text, true, false, null, time:…), found a blank
        1 | eq(attributes/n, 5)
          |                 ^
    "#]],
    );
    shows(
        "AND(eq(attributes/n,5))",
        expect![[r#"
        there is no operator `AND`; did you mean `and`?
        1 | AND(eq(attributes/n,5))
          | ^
    "#]],
    );
    shows(
        "or(eq(attributes/n,5),\n  equals(attributes/n,5))",
        expect![[r#"
        there is no operator `equals`; did you mean `eq`?
        2 |   equals(attributes/n,5))
          |     ^
    "#]],
    );
    shows(
        "and(eq(attributes/n,5),lt(attribute/n,5))",
        expect![[r#"
        there is no property `attribute/n`; did you mean `attributes/n`?
        1 | and(eq(attributes/n,5),lt(attribute/n,5))
          |                           ^
    "#]],
    );
    shows(
        "not(like(attributes/n,5))",
        expect![[r#"
        `like` takes a quoted text; write `"5"`
        1 | not(like(attributes/n,5))
          |                       ^
    "#]],
    );
    shows(
        "eq(attributes/n,5",
        expect![[r#"
        expected a fraction or `)`, found the end
        1 | eq(attributes/n,5
          |                  ^
    "#]],
    );
    shows(
        "eq(attributes/n,99999999999999999999)",
        expect![[r#"
        `99999999999999999999` is no 64-bit integer; write it with a fraction, as 99999999999999999999.0
        1 | eq(attributes/n,99999999999999999999)
          |                 ^
    "#]],
    );
    shows(
        &format!("in(attributes/n,{}x)", "1,".repeat(50)),
        expect![[r#"
        expected a literal (a number, a quoted text, true, false, null, time:…), found `x`
        1 | …1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,x)
          |                                                              ^
    "#]],
    );
}

#[track_caller]
fn place(text: &str, at: (usize, usize, usize), reason: Reason) {
    let error = text.parse::<Filter>().unwrap_err();
    assert_eq!(((error.at(), error.line(), error.column()), error.reason()), (at, reason), "{text}: {error}");
}

#[test]
fn mistakes_have_the_place_that_the_reference_gives_them() {
    use Reason::{Literal, Syntax, UnknownProperty};
    place("", (0, 1, 1), Syntax);
    place("not(a,b)", (5, 1, 6), Syntax);
    place("eq(attributes/n,-0)", (18, 1, 19), Syntax);
    place("eq(attributes/n,1e1)", (17, 1, 18), Syntax);
    place("eq(attributes/n,- 1)", (17, 1, 18), Syntax);
    place("eq(attributes/n,\"\\u00g0\")", (21, 1, 22), Syntax);
    place("eq(attributes/\\x,1)", (15, 1, 16), Syntax);
    place("eq(attributes/n,\"😀\" x)", (23, 1, 22), Syntax);
    place("eq(attributes/n,'\\ud800')", (17, 1, 18), Syntax);
    // A mistake of form comes before those of what is said, wherever it stands; a number is converted at once.
    place("and(eq(foo,1),eq(thingId,)", (25, 1, 26), Syntax);
    place("and(eq(foo,1),eq(thingId,1))", (7, 1, 8), UnknownProperty);
    place("and(eq(foo,1),eq(thingId,time:),", (25, 1, 26), Literal);
}

#[test]
fn what_is_too_much_is_refused() {
    let nested = |levels: usize| format!("{}exists(thingId){}", "not(".repeat(levels), ")".repeat(levels));
    assert!(nested(MAX_DEPTH - 1).parse::<Filter>().is_ok());
    place(&nested(MAX_DEPTH), (4 * MAX_DEPTH, 1, 4 * MAX_DEPTH + 1), Reason::Syntax);
    check(
        &"(".repeat(100_000),
        "invalid filter at byte 0 (line 1, column 1): expected an operator (eq, ne, gt, ge, lt, le, like, ilike, in, and, or, not, exists, empty), found `(`",
    );
    place(&"not(".repeat(60_000), (4 * MAX_DEPTH, 1, 4 * MAX_DEPTH + 1), Reason::Syntax);
    place(&"and(or(".repeat(30_000), (7 * MAX_DEPTH / 2, 1, 7 * MAX_DEPTH / 2 + 1), Reason::Syntax);
    place(
        &format!("like(thingId,\"{}\")", "a*".repeat(500_000)),
        (MAX_LENGTH, 1, MAX_LENGTH + 1),
        Reason::Syntax,
    );
    place(&"ü".repeat(MAX_LENGTH), (MAX_LENGTH, 1, MAX_LENGTH / 2 + 1), Reason::Syntax);
    let wide = format!("and({}exists(thingId))", "exists(thingId),".repeat(15_000));
    assert!(wide.parse::<Filter>().is_ok());
}

/// Whatever walks the deepest filter that there is gets along with a small stack.
#[test]
fn the_deepest_filter_fits_a_small_stack() {
    let walk = || {
        let text = format!("{}exists(thingId){}", "or(not(".repeat(255), "))".repeat(255));
        let filter: Filter = text.parse().unwrap();
        let (thing, now) = (serde_json::json!({ "thingId": "a:b" }), std::time::SystemTime::UNIX_EPOCH);
        let pending = crate::Pending::nothing();
        assert_eq!(filter.to_string(), text);
        assert_eq!(filter.clone(), filter);
        assert!(!filter.matches(&thing, now));
        assert_eq!(filter.explain(&thing, &pending, now).to_string().lines().count(), 511);
        assert!(format!("{filter:?}").len() > text.len());
    };
    let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(walk);
    thread.unwrap().join().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn never_panics(text in "[a-z(),'\"\\\\/:0-9+. -]*|\\PC*|((and|or|not|eq|in|like|exists)\\(|thingId|,|\\)|5|\"\\*\"|\\\\u[0-9d]{4})*") {
        match text.parse::<Filter>() {
            Ok(filter) => prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter)),
            Err(error) => prop_assert!(error.at() <= text.len()),
        }
    }

    #[test]
    fn prints_what_reads_back(text in filter()) {
        let filter: Filter = text.parse().unwrap();
        prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
    }

    #[test]
    fn any_text_can_be_said(name in "(\\PC|[\n\t\u{1}/~]){1,8}", text in "(.|\n){0,8}") {
        prop_assume!(!name.contains("//") && !name.starts_with('/') && !name.trim_matches('/').is_empty());
        let name = name.trim_matches('/');
        let (mut property, mut literal) = (String::new(), String::new());
        crate::quote::write_escaped(&mut property, name, true).unwrap();
        crate::quote::write_escaped(&mut literal, &text, false).unwrap();
        let filter: Filter = format!("eq(attributes/{property},\"{literal}\")").parse().unwrap();
        let asked = filter.properties().next().unwrap();
        let Property::Field(field) = asked else { panic!("{asked}") };
        prop_assert_eq!(field.path().segments().join("/"), format!("attributes/{}", name.replace("~0", "~")));
        prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
    }
}
