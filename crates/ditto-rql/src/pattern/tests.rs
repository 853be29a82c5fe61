use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(pattern: &str, text: &str, expected: bool) {
    assert_eq!(Pattern::new(pattern, false).unwrap().matches(text), expected, "{pattern} {text}");
}

#[test]
fn whole_texts_by_code_points() {
    check("h?llo", "hello", true);
    check("h??llo", "hello", false);
    check("?", "😀", true);
    check("*", "", true);
    check("?", "", false);
    check("", "", true);
    check("a*a", "a", false);
    check("a*?b", "ab", false);
    check("*a?c*", "xxabcx", true);
    check("*a?c*", "xxac", false);
    check("a.c", "abc", false);
    check("x\\E*", "x\\Ey", true);
}

#[test]
fn no_wildcard_takes_a_line_break() {
    check("l1?l2", "l1\nl2", false);
    check("l1*l2", "l1\nl2", false);
    check("l1\n*", "l1\nl2", true);
    check("*\n*", "a\nb", true);
    check("*\n*", "a\n\nb", false);
    check("*?\n?*", "a\nb", true);
    check("*", "a\u{2028}b", false);
}

#[test]
fn case_of_ascii_letters_alone() {
    let ilike = |pattern: &str, text: &str| Pattern::new(pattern, true).unwrap().matches(text);
    assert!(ilike("hello*", "Hello World"));
    assert!(ilike("*W?RLD", "hello world"));
    assert!(!ilike("ü*", "Ü"));
    assert!(!ilike("SS", "ß"));
}

#[test]
fn a_part_that_is_searched_has_a_bound() {
    let part = "?".repeat(Pattern::MAX_SEARCHED + 1);
    assert!(Pattern::new(&format!("*{part}*"), false).is_none());
    assert!(Pattern::new(&format!("{part}*{part}"), false).is_some());
}

/// Texts and patterns on which matchers that go back take quadratic or exponential time.
#[test]
fn linear_on_what_is_made_to_be_slow() {
    let text = "a".repeat(100_000);
    check(&"a*".repeat(1000), &text, true);
    check(&format!("{}b", "a*".repeat(1000)), &text, false);
    check(&format!("*{}b*", "a".repeat(50_000)), &text, false);
    check(&format!("*{}b*", "a?".repeat(500)), &"a".repeat(1_000_000), false);
    check(&format!("{}b", "*?".repeat(50_000)), &text, false);
}

/// By the definition: try everything.
fn naive(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some(('*', rest)), _) => {
            let run = text.iter().take_while(|c| !is_line_break(**c)).count();
            (0..=run).any(|taken| naive(rest, &text[taken..]))
        }
        (Some(_), None) => false,
        (Some((wanted, rest)), Some((c, after))) => takes(*wanted, *c) && naive(rest, after),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn as_by_the_definition(pattern in "[ab?*\n😀]{0,8}", text in "[ab\n😀]{0,10}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let matched = Pattern::new(&pattern, false).unwrap().matches(&text);
        prop_assert_eq!(matched, naive(&chars(&pattern), &chars(&text)));
    }
}
