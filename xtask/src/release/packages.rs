//! Which packages there are, in which order, and what is in them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;
use cargo_metadata::{Metadata, MetadataCommand};
use xshell::{Shell, cmd};

use crate::tidy::Edges;

/// The workspace, without anything from elsewhere.
pub(crate) fn read(root: &Path) -> anyhow::Result<Metadata> {
    Ok(MetadataCommand::new().manifest_path(root.join("Cargo.toml")).no_deps().exec()?)
}

/// Crates that are for others, sorted.
pub(crate) fn published(metadata: &Metadata) -> Vec<String> {
    let for_others = metadata.packages.iter().filter(|it| it.publish != Some(Vec::new()));
    let mut names: Vec<_> = for_others.map(|it| it.name.to_string()).collect();
    names.sort();
    names
}

/// Members that have another version than the workspace.
pub(crate) fn other_versions(metadata: &Metadata, version: &str) -> Vec<String> {
    let differing = metadata.packages.iter().filter(|it| it.version.to_string() != version);
    differing
        .map(|it| format!("{} has version {}; write `version.workspace = true`", it.name, it.version))
        .collect()
}

/// Each crate after those that it may name.
pub(crate) fn order(table: &[Edges], crates: &[String]) -> anyhow::Result<Vec<String>> {
    if let Some(unknown) = crates.iter().find(|name| table.iter().all(|it| it.name != *name)) {
        bail!("{unknown} is not in the table of edges (xtask/src/tidy/edges.rs)");
    }
    let mut open: Vec<_> = table.iter().filter(|it| crates.iter().any(|name| name == it.name)).collect();
    let mut done: Vec<String> = Vec::new();
    while !open.is_empty() {
        let blocked = |it: &Edges| open.iter().any(|other| it.may_name.contains(&other.name));
        let Some(next) = open.iter().position(|it| !blocked(it)) else {
            bail!("the table of edges has a circle");
        };
        done.push(open.remove(next).name.to_owned());
    }
    Ok(done)
}

/// The chosen ones of all, or all where none is chosen.
pub(crate) fn choose(all: &[String], chosen: &[String]) -> anyhow::Result<Vec<String>> {
    if let Some(unknown) = chosen.iter().find(|name| !all.contains(name)) {
        bail!("`{unknown}` is no crate that is published; these are: {}", all.join(", "));
    }
    let wanted = |name: &&String| chosen.is_empty() || chosen.contains(name);
    Ok(all.iter().filter(wanted).cloned().collect())
}

/// Some crates with whatever of ours they name, directly or not.
pub(crate) fn with_what_they_name(metadata: &Metadata, crates: &[String]) -> Vec<String> {
    let mut found: BTreeSet<_> = crates.iter().cloned().collect();
    let mut open = crates.to_vec();
    while let Some(name) = open.pop() {
        for package in metadata.packages.iter().filter(|it| *it.name == name) {
            let own = package.dependencies.iter().filter(|it| it.path.is_some()).map(|it| it.name.clone());
            open.extend(own.filter(|next| found.insert(next.clone())));
        }
    }
    found.into_iter().collect()
}

/// What each package lacks, or has too much of.
pub(crate) fn check_contents(shell: &Shell, crates: &[String]) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for name in crates {
        let list =
            cmd!(shell, "cargo package --list --quiet --allow-dirty --package {name}").quiet().read()?;
        findings.extend(contents(name, &list));
    }
    Ok(findings)
}

fn contents(name: &str, list: &str) -> Vec<String> {
    let files: Vec<_> = list.lines().collect();
    let lacks = ["README.md", "LICENSE"].into_iter().filter(|file| !files.contains(file));
    let mut findings: Vec<_> = lacks.map(|file| format!("the package of {name} has no {file}")).collect();
    let strange = |file: &&&str| file.starts_with("fuzz/") || file.starts_with("target/");
    findings.extend(files.iter().filter(strange).map(|file| format!("the package of {name} has {file}")));
    findings
}

#[cfg(test)]
mod tests {
    use super::{choose, contents, order, other_versions, published, read, with_what_they_name};
    use crate::tidy::{Edges, TABLE};
    use crate::workspace;

    #[test]
    fn what_is_named_comes_first() {
        let crates = ["ditto-connectivity", "ditto-protocol", "ditto-json", "ditto-kafka"].map(str::to_owned);
        let order = order(TABLE, &crates).unwrap();
        assert_eq!(order.len(), crates.len());
        let place = |name: &str| order.iter().position(|it| it == name).unwrap();
        assert!(place("ditto-json") < place("ditto-protocol"));
        assert!(place("ditto-protocol") < place("ditto-connectivity"));
        assert!(place("ditto-kafka") < place("ditto-connectivity"));
    }

    #[test]
    fn neither_circles_nor_unknown_crates_have_an_order() {
        let circle = [Edges { name: "a", may_name: &["b"] }, Edges { name: "b", may_name: &["a"] }];
        let error = order(&circle, &["a".to_owned(), "b".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "the table of edges has a circle");
        assert!(order(&circle, &["c".to_owned()]).is_err());
    }

    #[test]
    fn crates_are_chosen_by_name() {
        let all = ["a", "b"].map(str::to_owned);
        assert_eq!(choose(&all, &[]).unwrap(), all);
        assert_eq!(choose(&all, &["b".to_owned()]).unwrap(), ["b"]);
        let error = choose(&all, &["c".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "`c` is no crate that is published; these are: a, b");
    }

    #[test]
    fn the_workspace_has_one_version_and_a_dry_run_takes_what_is_named() {
        let metadata = read(&workspace::root()).unwrap();
        assert_eq!(other_versions(&metadata, env!("CARGO_PKG_VERSION")), [""; 0]);
        assert_eq!(other_versions(&metadata, "77.0.0").len(), metadata.packages.len());
        assert!(!published(&metadata).contains(&"xtask".to_owned()));
        let found = with_what_they_name(&metadata, &["ditto-rql".to_owned()]);
        assert_eq!(found, ["ditto-json", "ditto-rql"]);
    }

    #[test]
    fn packages_carry_their_licence_and_no_fuzz_targets() {
        assert_eq!(contents("a", "Cargo.toml\nLICENSE\nREADME.md\nsrc/fuzz/mod.rs"), [""; 0]);
        assert_eq!(
            contents("a", "Cargo.toml\nREADME.md\nfuzz/Cargo.toml"),
            ["the package of a has no LICENSE", "the package of a has fuzz/Cargo.toml"]
        );
    }
}
