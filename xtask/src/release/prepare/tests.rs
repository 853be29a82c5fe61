use expect_test::{Expect, expect};
use xshell::{Shell, cmd};

use super::Plan;
use crate::git::tests::repository;

const FILES: [(&str, &str); 5] = [
    (
        "Cargo.toml",
        "[workspace.package]\nversion = \"0.1.0\"\n\n[workspace.dependencies]\n\
         one = { path = \"one\", version = \"0.1.0\" }\n",
    ),
    ("Cargo.lock", "version = 4\n\n[[package]]\nname = \"one\"\nversion = \"0.1.0\"\n"),
    ("CHANGELOG.md", "# Changelog\n\nAll.\n"),
    ("docs/changelog.d/README.md", "# Fragments\n"),
    ("docs/changelog.d/3_a.fix.md", "A fix.\n"),
];

#[track_caller]
fn check(shell: &Shell, version: &str, expected: Expect) {
    let version = version.parse().unwrap();
    let plan = Plan::new(shell, &shell.current_dir(), &version, "2026-11-25", |_| vec![]);
    expected.assert_eq(&plan.map_or_else(|error| format!("{error:#}"), |plan| plan.shown()));
}

#[test]
fn a_version_is_shown_and_written() {
    let (_folder, shell) = repository(&FILES);
    check(
        &shell,
        "0.2.0",
        expect![[r#"
            Cargo.toml
            - version = "0.1.0"
            + version = "0.2.0"
            - one = { path = "one", version = "0.1.0" }
            + one = { path = "one", version = "0.2.0" }
            Cargo.lock
            - version = "0.1.0"
            + version = "0.2.0"
            CHANGELOG.md
            +
            + ## 0.2.0 (2026-11-25)
            +
            + ### Fixed
            +
            + - A fix.
            docs/changelog.d/3_a.fix.md is removed"#]],
    );
    let root = shell.current_dir();
    let plan = Plan::new(&shell, &root, &"0.2.0".parse().unwrap(), "2026-11-25", |_| vec![]).unwrap();
    plan.write(&root).unwrap();
    let changes = cmd!(shell, "git status --porcelain").quiet().read().unwrap();
    assert_eq!(changes, " M CHANGELOG.md\n M Cargo.lock\n M Cargo.toml\n D docs/changelog.d/3_a.fix.md");
    cmd!(shell, "git commit --quiet --all -m release").quiet().run().unwrap();
    check(
        &shell,
        "0.2.0",
        expect![[r#"
            0.2.0 cannot be prepared:
            - 0.2.0 is the present version, and it was released or prepared
            - docs/changelog.d has no fragment: nothing to say about this version"#]],
    );
}

#[test]
fn the_first_release_may_be_the_version_that_is_there() {
    let (_folder, shell) = repository(&FILES);
    check(
        &shell,
        "0.1.0",
        expect![[r#"
            CHANGELOG.md
            +
            + ## 0.1.0 (2026-11-25)
            +
            + ### Fixed
            +
            + - A fix.
            docs/changelog.d/3_a.fix.md is removed"#]],
    );
    cmd!(shell, "git tag v0.1.0").quiet().run().unwrap();
    check(
        &shell,
        "0.1.0",
        expect![[r#"
            0.1.0 cannot be prepared:
            - 0.1.0 is the present version, and it was released or prepared"#]],
    );
}

#[test]
fn everything_that_is_not_ready_is_said_at_once() {
    let (_folder, shell) = repository(&FILES);
    shell.remove_path("docs/changelog.d/3_a.fix.md").unwrap();
    shell.write_file("docs/changelog.d/note.md", "A note.\n").unwrap();
    check(
        &shell,
        "0.0.9",
        expect![[r#"
            0.0.9 cannot be prepared:
            - the tree has changes; commit them or put them away (`git stash -u`):
             D docs/changelog.d/3_a.fix.md
            ?? docs/changelog.d/note.md
            - 0.0.9 is not greater than 0.1.0, the present version
            - docs/changelog.d/note.md is not named `<number>_<words>.<type>.md` with one of security, change, feature, fix
            - docs/changelog.d has no fragment: nothing to say about this version"#]],
    );
}
