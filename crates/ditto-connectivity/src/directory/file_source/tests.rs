use std::fs;

use expect_test::{Expect, expect};

use super::*;
use crate::directory::source::Scope;

fn check(write: impl FnOnce(&std::path::Path), id: &str, expected: Expect) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let source = FileSource::new(folder.path().to_owned());
    let key = Key { kind: Kind::Policy, id: id.into() };
    let finding = match runtime.block_on(source.look_up(&key, None)) {
        Finding::Unavailable(Outage { scope, why, .. }) => {
            assert_eq!(scope == Scope::Source, why.starts_with("folder"));
            why.replace(&folder.path().display().to_string(), "…")
        }
        other => format!("{other:?}"),
    };
    expected.assert_eq(&finding);
}

#[test]
fn a_file_for_each_id() {
    let write = |content: &'static [u8]| {
        move |folder: &std::path::Path| {
            fs::create_dir(folder.join("policies")).unwrap();
            fs::write(folder.join("policies/acme:p.json"), content).unwrap();
            fs::write(folder.join("secret.json"), "{}").unwrap();
        }
    };
    check(
        write(b"{\"entries\": {}}"),
        "acme:p",
        expect![[r#"Found { value: "{\"entries\": {}}", validator: None }"#]],
    );
    check(write(b"{}"), "acme:q", expect!["Absent"]);
    check(write(b"{}"), "../secret", expect!["Absent"]);
    check(write(b"{\"entr"), "acme:p", expect!["`…/policies/acme:p.json` is no JSON"]);
    check(write(b"\"\xff\""), "acme:p", expect!["`…/policies/acme:p.json` is not UTF-8"]);
}

#[test]
fn a_folder_that_is_not_there_says_nothing() {
    check(
        |_| {},
        "acme:p",
        expect!["folder `…/policies` cannot be read: No such file or directory (os error 2)"],
    );
}
