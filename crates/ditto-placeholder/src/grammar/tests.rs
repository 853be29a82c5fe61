use proptest::prelude::*;

use crate::Template;

#[track_caller]
fn check(text: &str, expected: &str) {
    let parsed = match text.parse::<Template>() {
        Ok(template) => template.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(parsed, expected, "{text}");
}

#[test]
fn canonical_form() {
    check("a/{{thing:id}}", "a/{{ thing:id }}");
    check("{{ header:x y|fn:default( 'a' ) }}z", "{{ header:x y | fn:default('a') }}z");
    check("{{fn:replace(thing:name,\"b\")}}", "{{ fn:replace(thing:name, \"b\") }}");
    check("${thing:id}-{x}-{{y", "{{ thing:id }}-{x}-{{y");
    check("{{ fn:default('it\\'s') }}", "{{ fn:default('it\\'s') }}");
}

#[test]
fn braces_beside_text_that_is_like_them() {
    check("{${thing:id}", "{${ thing:id }");
    check("$${thing:id}${thing:id}", "$${ thing:id }{{ thing:id }}");
    check("{{x${thing:id}/${thing:name}", "{{x${ thing:id }/${ thing:name }");
}

#[test]
fn what_stays_open_costs_no_more() {
    let text = "{{${thing:id}".repeat(1 << 16);
    let template: Template = text.parse().unwrap();
    assert_eq!(template.parts().len(), 1 << 17);
    assert_eq!("{".repeat(1 << 20).parse::<Template>().unwrap().parts().len(), 1);
}

#[test]
fn mistakes_have_a_place_and_a_remedy() {
    check(
        "a/{{ thing:ID }}",
        "invalid placeholder at byte 5: there is no placeholder `thing:ID`; did you mean `thing:id`?",
    );
    check("{{ }}", "invalid placeholder at byte 3: expected a placeholder such as thing:id");
    check("{{ a:b || fn:upper() }}", "invalid placeholder at byte 8: expected a function such as fn:lower()");
    check(
        "{{ thing:id | fn:lowre() }}",
        "invalid placeholder at byte 14: there is no function `fn:lowre()`; did you mean `fn:lower()`?",
    );
    check(
        "{{ thing:id | fn:lower }}",
        "invalid placeholder at byte 14: there is no function `fn:lower`; did you mean `fn:lower()`?",
    );
    check(
        "{{ thing:id | fn:split(thing:id) }}",
        "invalid placeholder at byte 14: the arguments of fn:split do not fit: write fn:split('separator')",
    );
    check(
        "{{ header:a | fn:default(thnig:id) }}",
        "invalid placeholder at byte 25: there is no placeholder `thnig:id`; did you mean `thing:id`?",
    );
    check(
        "{{ policy:id }}",
        "invalid placeholder at byte 3: placeholder `policy:id` is not available in addresses and header mappings",
    );
    check(
        "{{ header:a | fn:default('%') | fn:default('x') }}/{{ fn:default('***') | fn:base64-decode() }}",
        "invalid placeholder at byte 54: fn:base64-decode: the value is no base64",
    );
    check("{{ fn:default('x) }}", "invalid placeholder at byte 14: expected a closing quote `'`");
    check(
        &format!("{{{{ thing:id{} }}}}", " | fn:trim()".repeat(11)),
        "invalid placeholder at byte 2: more than 10 functions in one placeholder",
    );
}

#[test]
fn stages_are_cut_as_the_reference_cuts_them() {
    // The name begins where the colon would be without the blank.
    check("{{ header :num }}", "{{ header::num }}");
    check("{{ header: num }}", "{{ header: num }}");
    check("{{ header:'a|b' | fn:trim( ) }}", "{{ header:'a|b' | fn:trim() }}");
    check("{{header:a}b}}", "{{ header:a}b }}");
    check("{{ header:a | lower() }}", "{{ header:a | lower() }}");
    check("{{ header:a | fn:default(header:b c) }}", "{{ header:a | fn:default(header:b) }}");
    check("{{ header:a | fn:default(header:b)c) }}", "{{ header:a | fn:default(header:b)c) }}");
    check("{{ header:a | fn:default(fn:delete()) }}", "{{ header:a | fn:default(fn:delete()) }}");
    check("{{ fn:default('\\\\\\'') }}", "{{ fn:default('\\\\\\'') }}");
    check("{{ fn:default('\\\\') }}", "invalid placeholder at byte 14: expected a closing quote `'`");
    check(
        "{{\u{a0}thing:id }}",
        "invalid placeholder at byte 2: there is no placeholder `\u{a0}thing:id`; did you mean `thing:id`?",
    );
}

#[test]
fn limits() {
    let deep = |n: usize| format!("{{{{ {}'x'{} }}}}", "fn:default(".repeat(n), ")".repeat(n));
    check(&deep(5), &deep(5));
    check(&deep(6), "invalid placeholder at byte 58: functions are nested deeper than 4 levels");
    let functions = |n: usize| format!("{{{{ thing:id{} }}}}", " | fn:trim()".repeat(n));
    check(&functions(10), &functions(10));
    check(
        &"x".repeat((1 << 20) + 1),
        "invalid placeholder at byte 1048576: the text is longer than 1048576 bytes",
    );
    for text in ["{{", "}}", "{", "${", "{{ ", "'", "{{a:b|", "{{ fn:default("] {
        let _ = text.repeat(100_000).parse::<Template>();
        let _ = format!("{}{}", text.repeat(50_000), "}}".repeat(50_000)).parse::<Template>();
        let _ = format!("{{{{ fn:default({}) }}}}", text.repeat(50_000)).parse::<Template>();
    }
}

#[test]
fn carets() {
    let caret = |text: &str| text.parse::<Template>().unwrap_err().caret(text);
    assert_eq!(caret("ä/{{ thing:ID }}"), "ä/{{ thing:ID }}\n     ^");
    assert_eq!(caret(&format!("{}{{{{\nthing:ID }}}}", "x".repeat(99))).lines().nth(1).unwrap().len(), 41);
}

#[test]
fn codes_are_the_reference_s() {
    let code = |text: &str| text.parse::<Template>().unwrap_err().code();
    assert_eq!(code("{{ a }}"), "placeholder:unresolved");
    assert_eq!(code("{{ a:b | x }}"), "placeholder:unresolved");
    assert_eq!(code("{{ thing:id | x }}"), "placeholder:function.unknown");
    assert_eq!(code("{{ thing:id | }}"), "placeholder:function.unknown");
    assert_eq!(code("{{ thing:id | fn:default() }}"), "placeholder:function.signature.invalid");
    assert_eq!(code("{{ thing:id | fn:format('{#a}') }}"), "placeholder:function.signature.invalid");
    let many = format!("{{{{ x{} }}}}", "|fn:trim()".repeat(11));
    assert_eq!(code(&many), "placeholder:function.too.complex");
}

proptest! {
    #[test]
    fn never_panics_and_prints_what_parses(text in anything()) {
        if let Ok(template) = text.parse::<Template>() {
            prop_assert_eq!(template.to_string().parse::<Template>(), Ok(template));
        }
    }
}

/// Random text, and text that is nearly or wholly a template.
fn anything() -> impl Strategy<Value = String> {
    let argument = "( ?('[a-z|}\\\\]*'|\"[a-z']*\"|thing:id|header:[a-z ')]*|fn:(trim|default)\\(('x'|header:y)?\\)) ?,?){0,3}";
    let stage = format!("(fn:)?(default|lower|replace|filter|split|format|nope)\\({argument}\\)");
    let head = "(header ?:[a-z '|}]*|thing:id|time:now(-1h)?(\\[d\\])?|thing-json:[a-z/]+|fn:upper\\(\\))";
    let braces = format!("((\\{{\\{{| |\\$\\{{){head}( ?\\| ?{stage})* ?\\}}\\}}?[a-z{{$]?)*");
    prop_oneof![
        proptest::string::string_regex("[a-z:{}|'\"() $,-]*|\\PC*").unwrap(),
        proptest::string::string_regex(&braces).unwrap(),
    ]
}
