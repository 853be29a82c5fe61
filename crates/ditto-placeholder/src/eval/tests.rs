mod naive;

use std::fmt::Write;

use crate::eval::filter::is_like;
use crate::{Placeholder, Resolution, Resolve, Template, UtcTime, Value};

/// A message with these headers; `list` stands for all values of a placeholder with several.
#[derive(Debug)]
pub(super) struct Message<'m> {
    pub(super) headers: &'m [(&'m str, &'m str)],
    pub(super) list: &'m [&'m str],
}

impl Resolve for Message<'_> {
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
        let text = match placeholder {
            Placeholder::Header(name) => self.headers.iter().find(|(known, _)| known == name)?.1,
            Placeholder::RequestSubjectId => self.list.first()?,
            Placeholder::Time(time) => {
                time.append(UtcTime::new(0, 0), out);
                return Some(());
            }
            _ => return None,
        };
        out.push_str(text);
        Some(())
    }

    fn resolve_all(&self, placeholder: &Placeholder, each: &mut dyn FnMut(&str)) {
        if *placeholder == Placeholder::RequestSubjectId {
            return self.list.iter().for_each(|text| each(text));
        }
        let mut text = String::new();
        if self.resolve(placeholder, &mut text).is_some() {
            each(&text);
        }
    }
}

const MESSAGE: Message<'_> = Message {
    headers: &[
        ("id", "P-7:x"),
        ("empty", ""),
        ("csv", "a,b,c,,"),
        ("dots", "a.b"),
        ("n", "42"),
        ("uni", "  ÄÖ€😀 "),
        ("json", r#"{"a":"x","b":["p","q"],"n":null,"o":{"k": [7, 1.50]},"l":[{"k":1},{"k":2},"z"],"e":[]}"#),
        ("lines", "l1\nl2"),
        ("b64", "aMOkbGxv"),
        ("parens", "a(b"),
    ],
    list: &["s:one", "s:two"],
};

#[track_caller]
fn check(template: &str, expected: &str) {
    let shown = match template.parse::<Template>() {
        Ok(template) => {
            let first = first(&template);
            match template.resolve_all(&MESSAGE) {
                Ok(Value::Resolved(texts)) => {
                    assert_eq!(first.as_ref(), texts.first(), "the first of all values");
                    texts.join(" ; ")
                }
                Ok(none) => format!("{none:?}"),
                Err(error) => error.to_string(),
            }
        }
        Err(error) => error.kind().to_string(),
    };
    assert_eq!(shown, expected, "{template}");
}

fn first(template: &Template) -> Option<String> {
    let mut out = "before ".to_owned();
    match template.resolve_into(&MESSAGE, &mut out) {
        Ok(Resolution::Resolved) => out.strip_prefix("before ").map(str::to_owned),
        _ => {
            assert_eq!(out, "before ");
            None
        }
    }
}

#[test]
fn templates() {
    check("", "");
    check("{{ header:empty }}", "");
    check("a{{ header:nope }}", "Unresolved");
    check(
        "{{ request:subjectId }}/{{ request:subjectId }}",
        "s:one/s:one ; s:one/s:two ; s:two/s:one ; s:two/s:two",
    );
    check("{{ fn:delete() }}{{ header:n | fn:delete() }}", "Deleted");
    check("{{ fn:delete() }}{{ header:nope }}", "Unresolved");
    check("a{{ fn:delete() }}", "a");
    check("{{ header:n | lower() }}", "Unresolved");
    check("{{ header:n | lower() | fn:default('d') }}", "d");
    check("{{ time:now }}", "1970-01-01T00:00:00Z");
    // What fails counts for more than what has no value.
    check(
        "{{ header:nope }}{{ header:id | fn:base64-decode() }}",
        "fn:base64-decode: the value is no base64",
    );
}

#[test]
fn constants_are_folded() {
    let constant = |text: &str| text.parse::<Template>().unwrap().as_constant().map(str::to_owned);
    assert_eq!(constant("a{{ fn:default('b') | fn:upper() }}c").as_deref(), Some("aBc"));
    assert_eq!(constant("a{{ fn:delete() }}b").as_deref(), Some("ab"));
    assert_eq!(constant("").as_deref(), Some(""));
    assert_eq!(constant("{{ fn:delete() }}"), None);
    assert_eq!(constant("{{ fn:upper() }}"), None);
    assert_eq!(constant("{{ fn:default(fn:default('x')) }}"), None);
    check("{{ fn:default('a,b') | fn:split(',') }}", "a ; b");
}

#[test]
fn checks_run_the_functions() {
    let passes = |text: &str| text.parse::<Template>().unwrap().check().is_ok();
    assert!(passes("{{ header:a | fn:base64-decode() }}/{{ header:a | fn:filter('eq', 'x') }}"));
    assert!(!passes("{{ header:a | fn:replace('', '%') | fn:url-decode() }}"));
}

#[test]
fn texts() {
    check("{{ header:uni | fn:trim() | fn:lower() }}", "äö€😀");
    check("{{ header:id | fn:substring-before(':') }}", "P-7");
    check("{{ header:id | fn:substring-after('') }}", "P-7:x");
    check("{{ header:id | fn:substring-before('#') }}", "Unresolved");
    check("{{ header:csv | fn:split(',') | fn:substring-after('b') }}", "");
    check("{{ header:dots | fn:replace('.', '-') }}", "a-b");
    check("{{ header:dots | fn:replace('', '-') }}", "-a-.-b-");
    check("{{ header:dots | fn:replace(header:nope, '-') }}", "-a-.-b-");
    check("{{ header:dots | fn:replace('a', header:nope) }}", "fn:replace: an argument has no value");
    check("{{ header:dots | fn:replace('a', 'x', header:nope) }}", "x.b");
    check("{{ header:uni | fn:url-encode() }}", "++%C3%84%C3%96%E2%82%AC%F0%9F%98%80+");
    check("{{ header:uni | fn:url-encode() | fn:url-decode() }}", "  ÄÖ€😀 ");
    check(
        "{{ fn:default('%zz') | fn:url-decode() }}",
        "fn:url-decode: the value has a `%` without two hexadecimal digits",
    );
    check(
        "{{ fn:default('%c3%28%') | fn:url-decode() }}",
        "fn:url-decode: the value has a `%` without two hexadecimal digits",
    );
    check("{{ fn:default('%c3%28') | fn:url-decode() }}", "\u{fffd}(");
    check("{{ header:b64 | fn:base64-decode() }}", "hällo");
    check("{{ header:uni | fn:base64-encode() | fn:base64-decode() }}", "  ÄÖ€😀 ");
    check("{{ fn:default('YQ') | fn:base64-decode() }}{{ fn:default('YR==') | fn:base64-decode() }}", "aa");
    check("{{ fn:default('YQ=') | fn:base64-decode() }}", "fn:base64-decode: the value is no base64");
}

#[test]
fn lists() {
    check("{{ header:csv | fn:split(',') }}", "a ; b ; c");
    check("{{ header:dots | fn:split('.') }}", "Unresolved");
    check("{{ header:dots | fn:split('|') }}", "a.b");
    check("{{ fn:default('x|y') | fn:split('|') }}", "x ; | ; y");
    check("{{ header:n | fn:split('') }}", "4 ; 2");
    check("{{ header:empty | fn:split('') }}", "");
    check("{{ header:n | fn:split('(') }}", "42");
    check(
        "{{ header:parens | fn:split('(') }}",
        "fn:split: the separator occurs in the value, but is no regular expression, or too large a one",
    );
    check("{{ fn:default(',a,,b,') | fn:split(',') }}", " ; a ;  ; b");
    check("{{ fn:default('ab|c') | fn:split('b|') }}", "a ;  ; | ; c");
    check("{{ request:subjectId | fn:join('') }}", "s:ones:two");
    check("{{ header:n | fn:delete() | fn:join(',') | fn:default('d') }}", "d");
    check("{{ header:n | fn:delete() | fn:split(',') | fn:default('d') }}", "d");
    check("{{ header:n | fn:delete() | fn:default('d') }}", "Deleted");
    check("{{ fn:default(request:subjectId) | fn:upper() }}", "S:ONE ; S:TWO");
    check("{{ fn:default(fn:default(header:n)) }}", "42");
    check("{{ fn:default(fn:delete()) | fn:default('x') }}", "Deleted");
}

#[test]
fn filters() {
    check("{{ request:subjectId | fn:filter('like', '*two') }}", "s:two");
    check("{{ request:subjectId | fn:filter('ne', request:subjectId) }}", "s:one ; s:two");
    check("{{ request:subjectId | fn:filter('eq', header:nope) }}", "Unresolved");
    check("{{ header:empty | fn:filter('exists', 'false') }}", "");
    check("{{ header:n | fn:filter('gt', '1') }}", "Unresolved");
    check("{{ header:n | fn:filter(header:nope, 'eq', '1') }}", "Unresolved");
    check("{{ header:n | fn:filter(header:nope, 'eq', header:nope) }}", "42");
    check("{{ header:n | fn:filter(header:nope, 'exists') }}", "Unresolved");
    check("{{ header:n | fn:filter(header:nope, 'exists', 'FALSE') }}", "42");
    check("{{ header:n | fn:filter(header:id, header:nope, 'x') }}", "fn:filter: an argument has no value");
    check("{{ header:n | fn:filter(header:id, 'x', 'x') }}", "Unresolved");
    check("{{ header:nope | fn:filter('x', 'eq', 'x') }}", "Unresolved");
    check("{{ header:n | fn:delete() | fn:filter('x', 'eq', 'y') }}", "Deleted");
    check(
        "{{ header:n | fn:filter('eq') }}",
        "the arguments of fn:filter do not fit: write fn:filter('eq', 'text'), fn:filter(thing:id, 'exists') or fn:filter(thing:id, 'like', 'a*')",
    );
}

#[test]
fn like() {
    for (text, pattern, expected) in [
        ("42", "4?", true),
        ("42", "1|42|x", true),
        ("42", "4", false),
        ("42", "*", true),
        ("", "", true),
        ("", "?", false),
        ("aXbXc", "a*X?", true),
        ("aab", "*a?", true),
        ("abcabd", "*ab?|z", true),
        ("ab", "a*b*", true),
        ("ab", "ab*b", false),
        ("l1\nl2", "l1*l2", false),
        ("l1\nl2", "l1?l2", false),
        ("l1\nl2", "*\nl*", true),
        ("😀b", "?b", true),
        ("a.b", "a\\Eb", false),
        ("xx\u{85}", "*", false),
    ] {
        assert_eq!(is_like(text, pattern), expected, "{text:?} like {pattern:?}");
    }
    // Across the words of the search by bits.
    let long = format!("{}b{}", "a".repeat(200), "c".repeat(100));
    assert!(is_like(&long, &format!("*{}?b{}*c", "a".repeat(130), "?".repeat(70))));
    assert!(!is_like(&long, &format!("*{}?b{}d*", "a".repeat(130), "?".repeat(70))));
}

#[test]
fn formats() {
    check(
        "{{ header:json | fn:format('{a}-{o/k}|{/o/k}|{n}{missing}{e}|') }}",
        "x-7|7|| ; x-7|1.50|| ; x-1.50|7|| ; x-1.50|1.50||",
    );
    check("{{ header:json | fn:format('{o}') }}", r#"{"k":[7,1.50]}"#);
    check("{{ header:json | fn:format('{#l}<{k}{.}>{/l}') }}", "<1> ; <2> ; <z>");
    check("{{ header:json | fn:format('{#o}{#k}{.}!{/k}{/o}') }}", "7! ; 1.50!");
    check("{{ header:json | fn:format('{#b}{#x}{.}{/x}{.}{/b}') }}", "p ; q");
    check("{{ header:json | fn:format('{#e}x{/e}{#n}x{/n}.') }}", ".");
    check(r"{{ header:json | fn:format('\{a\} {/a} {} {') }}", "{a} {/a} {} {");
    check("{{ header:json | fn:format('{#b}x') }}", "fn:format: a section is not closed");
    check("{{ header:n | fn:format('{a}') }}", "");
    check("{{ header:nope | fn:format('{a}') }}", "Unresolved");
    check("{{ header:nope | fn:delete() | fn:format('{a}') }}", "");
}

/// Each of these would take minutes or all memory if it were done as it is written. How the time grows is measured by
/// `cargo xtask bench languages`.
#[test]
fn nothing_takes_long() {
    let value = "a".repeat(100_000);
    for (pattern, expected) in [
        ("*".repeat(1_000), true),
        ("*a".repeat(1_000), true),
        ("*?a".repeat(1_000), true),
        ("?*a".repeat(1_000) + "b", false),
        (format!("*{}?b*", "a".repeat(4_000)), false),
        (format!("*{}b*{}", "a".repeat(2_000), "?".repeat(2_000)), false),
        ("*a*b|".repeat(800), false),
    ] {
        assert_eq!(is_like(&value, &pattern), expected, "{pattern}");
    }

    // As much as a message may hold.
    let many: Vec<&str> = vec![value.get(..256).unwrap(); 4_000];
    let again = format!(".*[^A-Z]|[A-Z]{}", "A".repeat(1_000_000));
    let once = format!("[ab]*a[ab]{{600}}c{}", "ab".repeat(500_000));
    let headers = [("a", value.as_str()), ("l", "[1,2]"), ("again", &again), ("once", &once)];
    let message = Message { headers: &headers, list: &many };
    let mut growing = "{{ header:a".to_owned();
    (0..10).for_each(|_| growing.push_str(" | fn:replace('', 'aaaaaaaaaa')"));
    let product = "{{ request:subjectId }}".repeat(1_000);
    let too_much = "too much to compare or to search; shorten the value or the pattern";
    for (text, expected) in [
        (growing + " }}", "more than 4194304 bytes of text"),
        (product, "more than 4096 values"),
        ("{{ request:subjectId | fn:filter(request:subjectId,'like',request:subjectId) }}".to_owned(), ""),
        ("{{ request:subjectId | fn:filter('ne',request:subjectId) }}".to_owned(), too_much),
        ("{{ header:a | fn:split('') | fn:join('x') }}".to_owned(), "more than 4096 values"),
        ("{{ header:a | fn:replace('a', '.') | fn:split('.') }}".to_owned(), ""),
        ("{{ header:again | fn:split('.*[^A-Z]|[A-Z]') }}".to_owned(), too_much),
        ("{{ header:once | fn:split('[ab]*a[ab]{600}c') }}".to_owned(), too_much),
        (
            format!("{{{{ fn:default('{{\"b\":[1,2]}}') | fn:format('{}') }}}}", "{b}".repeat(1_000)),
            "more than 4096 values",
        ),
        (format!("{{{{ header:a | fn:format('{}') }}}}", "{#a}".repeat(20_000)), "a section is not closed"),
        (
            format!("{{{{ header:a | fn:format('{}{}') }}}}", "{#a}".repeat(20_000), "{/a}".repeat(20_000)),
            "the format has too many parts or levels",
        ),
        (format!("{{{{ fn:default('{0}') | fn:split('{0}') }}}}", "(a*)*".repeat(100)), too_much),
    ] {
        let ended = match text.parse::<Template>() {
            Ok(template) => template.resolve_all(&message).err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        let ended = ended.unwrap_or_default();
        let shown = text.get(..60).unwrap_or(&text);
        assert!(ended.ends_with(expected) && ended.is_empty() == expected.is_empty(), "{shown}: {ended}");
    }
}

/// The most common key costs nothing but room in a buffer that is there already.
#[test]
fn displays() {
    let mut text = String::new();
    let template: Template = "a/{{ header:n | fn:upper() }}".parse().unwrap();
    write!(text, "{template} {template:?}").unwrap();
    assert_eq!(text, "a/{{ header:n | fn:upper() }} Template(\"a/{{ header:n | fn:upper() }}\")");
}
