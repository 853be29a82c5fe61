use super::{Edges, RESERVED, TABLE, check, edges};
use crate::tidy::graph::{self, Crate};
use crate::workspace;

const SMALL: &[Edges] = &[edges("bottom", &[]), edges("middle", &["bottom"]), edges("top", &["middle"])];

fn made_up(name: &str, normal: &[&str], dev: &[&str]) -> Crate {
    let own = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
    Crate { name: name.to_owned(), normal: own(normal), dev: own(dev), ..Crate::default() }
}

/// The crates of `SMALL` as they should be, with `changed` in place of its namesake or in addition.
#[track_caller]
fn refused(changed: Crate, expected: &[&str]) {
    let mut crates = vec![
        made_up("bottom", &["serde"], &[]),
        made_up("middle", &["bottom"], &["proptest"]),
        made_up("top", &["middle"], &["bottom"]),
    ];
    crates.retain(|it| it.name != changed.name);
    crates.push(changed);
    let findings = check(SMALL, RESERVED, &crates);
    assert_eq!(findings.len(), expected.len(), "{findings:#?}");
    for (finding, expected) in findings.iter().zip(expected) {
        assert!(finding.contains(expected), "{finding}");
    }
}

#[test]
fn the_workspace_follows_the_table() {
    let crates = graph::read(&workspace::root()).unwrap();
    assert_eq!(check(TABLE, RESERVED, &crates), Vec::<String>::new());
}

#[test]
fn a_made_up_edge_is_refused() {
    refused(made_up("bottom", &["middle"], &[]), &["bottom names middle in [dependencies]"]);
    // Below, but not an edge of the table.
    refused(made_up("top", &["middle", "bottom"], &[]), &["top names bottom in [dependencies]"]);
}

#[test]
fn a_test_may_name_what_is_below_and_nothing_else() {
    refused(made_up("top", &[], &["bottom", "middle"]), &[]);
    refused(made_up("middle", &["bottom"], &["top"]), &["middle names top in [dev-dependencies]"]);
}

#[test]
fn a_crate_nobody_listed_is_refused() {
    refused(made_up("newcomer", &[], &[]), &["newcomer is not in the table"]);
    // And naming it is an edge that the table does not have.
    let crates = [
        made_up("bottom", &["newcomer"], &[]),
        made_up("middle", &[], &[]),
        made_up("top", &[], &[]),
        made_up("newcomer", &[], &[]),
    ];
    assert_eq!(check(SMALL, RESERVED, &crates).len(), 2);
}

#[test]
fn a_line_without_a_crate_is_refused() {
    let crates = [made_up("bottom", &[], &[]), made_up("middle", &[], &[])];
    assert_eq!(check(SMALL, RESERVED, &crates), ["the table of edges lists top, which does not exist"]);
}

#[test]
fn reserved_crates_have_owners() {
    for it in [made_up("bottom", &["rdkafka"], &[]), made_up("bottom", &[], &["rdkafka"])] {
        refused(it, &["bottom names rdkafka, which only ditto-kafka and ditto-tests may"]);
    }
    refused(made_up("middle", &["bottom", "nom"], &[]), &["which only ditto-placeholder may"]);
}

/// Each edge of the real table is needed for the real workspace or allowed by design; any other one is refused.
#[test]
fn every_other_edge_of_the_real_crates_is_refused() {
    let crates = graph::read(&workspace::root()).unwrap();
    for from in TABLE {
        for to in TABLE.iter().filter(|to| to.name != from.name && !from.may_name.contains(&to.name)) {
            let mut changed = crates.clone();
            for it in changed.iter_mut().filter(|it| it.name == from.name) {
                it.normal.push(to.name.to_owned());
            }
            assert_eq!(check(TABLE, RESERVED, &changed).len(), 1, "{} -> {}", from.name, to.name);
        }
    }
}
