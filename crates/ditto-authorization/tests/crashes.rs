//! Inputs that are dangerous, each against every law.

mod laws;

use std::time::SystemTime;

use ditto_authorization::{Enforcer, Policy};

#[test]
fn no_known_input_breaks_a_law() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crashes");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.display());
        let data = std::fs::read(file).unwrap();
        laws::policy(&data);
        laws::headers(&data);
        laws::cut(&data);
    }
}

/// Documents whose size is fine, and whose content multiplies.
#[test]
fn what_multiplies_is_bounded() {
    let list = |count: usize, element: &dyn Fn(usize) -> String| {
        (0..count).map(element).collect::<Vec<_>>().join(",")
    };
    let deep = "/a".repeat(128);
    let permissions = list(32, &|n| format!("\"P{n}\""));
    let references = list(20_000, &|_| r#"{"entry":"e"}"#.to_owned());
    let resources = list(5_000, &|n| format!(r#""thing:/a{n}":{{"grant":["READ"],"revoke":["WRITE"]}}"#));
    for (entries, is_fine) in [
        (
            list(900, &|n| {
                format!(
                    r#""e{n}":{{"subjects":{{"a:{n}":{{"type":""}}}},"resources":{{"thing:{deep}":{{"grant":[{permissions}],"revoke":[]}}}}}}"#
                )
            }),
            true,
        ),
        (format!(r#""e":{{"resources":{{{resources}}}}},"r":{{"references":[{references}]}}"#), false),
        (
            list(2_000, &|n| {
                format!(
                    r#""e{n}":{{"subjects":{{"a:{n}":{{"type":""}},"a:x":{{"type":""}}}},"resources":{{"thing:/":{{"grant":["READ"],"revoke":["READ"]}},"thing:/{n}":{{"grant":["READ"],"revoke":["READ"]}}}}}}"#
                )
            }),
            true,
        ),
    ] {
        let text = format!(r#"{{"entries":{{{entries}}}}}"#);
        assert!(text.len() < 1 << 20, "{}", text.len());
        let policy: Policy = text.parse().unwrap();
        let compiled = Enforcer::compile(&policy, None, SystemTime::UNIX_EPOCH, |_| None);
        assert_eq!(compiled.is_ok(), is_fine);
        laws::policy(text.as_bytes());
    }
}
