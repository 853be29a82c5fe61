use expect_test::{Expect, expect};

use super::{Fragment, find, insert, read_fragments, section};
use crate::workspace;

const NEW: &str = "# Changelog\n\nAll notable changes.\n";

fn fragments() -> Vec<Fragment> {
    let files = [
        ("3_a.feature.md", "A feature in\ntwo lines.\n"),
        ("4_b.fix.md", "A fix."),
        ("10_c.feature.md", "Another feature.\n"),
        ("12_d.security.md", "A hole."),
    ];
    files.map(|(file, text)| Fragment::parse(file, text).unwrap()).into()
}

#[track_caller]
fn check(changelog: &str, version: &str, expected: Expect) {
    let section = section(&version.parse().unwrap(), "2026-11-25", &fragments());
    expected.assert_eq(&insert(changelog, &section));
}

#[test]
fn the_first_section_comes_behind_the_introduction() {
    check(
        NEW,
        "0.2.0",
        expect![[r#"
            # Changelog

            All notable changes.

            ## 0.2.0 (2026-11-25)

            ### Security

            - A hole.

            ### New

            - A feature in
              two lines.
            - Another feature.

            ### Fixed

            - A fix.
        "#]],
    );
}

#[test]
fn a_later_section_comes_before_the_others() {
    let first = insert(NEW, "## 0.1.0 (2026-01-01)\n\n- first\n");
    let both = insert(&first, "## 0.2.0 (2026-02-02)\n\n- second\n");
    assert_eq!(
        both,
        format!("{NEW}\n## 0.2.0 (2026-02-02)\n\n- second\n\n## 0.1.0 (2026-01-01)\n\n- first\n")
    );
    assert_eq!(find(&both, &"0.2.0".parse().unwrap()).as_deref(), Some("- second"));
    assert_eq!(find(&both, &"0.1.0".parse().unwrap()).as_deref(), Some("- first"));
    assert_eq!(find(&both, &"0.1.0-rc.1".parse().unwrap()), None);
    assert_eq!(find(NEW, &"0.1.0".parse().unwrap()), None);
}

#[test]
fn what_is_no_fragment_is_named() {
    for file in
        ["notes.md", "x_a.fix.md", "3.fix.md", "3_.fix.md", "3_a.bug.md", "3_a.fix.txt", "-3_a.fix.md"]
    {
        let finding = Fragment::parse(file, "A fix.").unwrap_err();
        assert!(finding.contains(&format!("{file} is not named")), "{finding}");
    }
    let text = |text| Fragment::parse("3_a.fix.md", text).unwrap_err();
    assert_eq!(text(" \n"), "docs/changelog.d/3_a.fix.md says nothing");
    assert_eq!(
        text("One.\n\nTwo."),
        "docs/changelog.d/3_a.fix.md:2 is no line of a paragraph, and a fragment is one"
    );
    assert!(text("## 9.9.9 (now)").contains("3_a.fix.md:1 is no line"));
}

#[test]
fn the_fragments_of_the_tree_are_read() {
    let (fragments, findings) = read_fragments(&workspace::root()).unwrap();
    assert_eq!(findings, [""; 0]);
    assert!(fragments.windows(2).all(|pair| pair[0].number <= pair[1].number));
}
