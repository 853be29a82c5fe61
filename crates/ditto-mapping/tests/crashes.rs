//! Inputs that were dangerous once, and any others, each against every law.

mod laws;

use proptest::prelude::*;

#[test]
fn no_known_input_breaks_a_law() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crashes");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.display());
        let data = std::fs::read(file).unwrap();
        laws::incoming(&data);
        laws::outgoing(&data);
        laws::creation(&data);
        laws::definitions(&data);
    }
}

/// A message of the Ditto Protocol, more or less.
fn message() -> impl Strategy<Value = String> {
    let topic = "(a|_|x\\.y)/[a-c~_]{1,2}/(things/(twin|live)|policies)/((commands|events)/(modify|modified|merged|deleted|retrieve|created)|messages/[a-z/~ ]{1,4}|errors|acks/x:abc)";
    let path =
        "/|/attributes(/[a-zä~]{1,2}){0,2}|/features/f/properties/p|/(in|out)box/messages/[a-z/~ ]{1,4}|";
    let value = prop_oneof![
        Just("null".to_owned()),
        "-?[0-9]{1,3}(\\.[0-9])?",
        r#"\{("[a-z]{1,2}":(null|1|\{"x":null\}))?\}"#,
        r#"\{"thingId":"a:b"\}"#,
        r#""[A-Za-z0-9+/=]{0,6}""#,
    ];
    let rest = r#"(,"status":(200|404|99))?(,"revision":[0-9])?(,"timestamp":"2026-01-02T03:04:05Z")?(,"extra":\{"x":1\})?"#;
    let headers = r#"(,"headers":\{("content-type":"(text/plain|application/json|image/png)"(,"Correlation-Id":"é\\n")?|"X":5|"ditto-sudo":true)?\})?"#;
    (topic, path, proptest::option::of(value), rest, headers).prop_map(
        |(topic, path, value, rest, headers)| {
            let value = value.map(|value| format!(r#","value":{value}"#)).unwrap_or_default();
            format!(r#"{{"topic":"{topic}","path":"{path}"{headers}{value}{rest}}}"#)
        },
    )
}

proptest! {
    #[test]
    fn messages_come_in(headers in "((id|x|ttd|creation-time|status|ditto-message-(subject|thing-id|direction)|content-type):[a-zA-Z0-9:/{} \"\\\\-]{0,12}\n){0,4}\n", message in message()) {
        laws::incoming(message.as_bytes());
        laws::incoming(format!("{headers}{message}").as_bytes());
    }

    #[test]
    fn messages_go_out(message in message()) {
        laws::outgoing(message.as_bytes());
    }

    #[test]
    fn header_values_are_texts(said in "\\PC*|[\"\\\\{}:,\\[\\]a\n]*") {
        laws::creation(said.as_bytes());
    }

    #[test]
    fn options_are_any_texts(text in "\\PC{0,30}|(\\{\\{ ?|\\$\\{|fn:|header:|a:b|\\| ?|default\\('x'\\)|\\}\\}|[a-z/(),'\"])*") {
        laws::definitions(text.as_bytes());
    }
}
