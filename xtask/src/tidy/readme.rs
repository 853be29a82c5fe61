//! What a published crate says about what it brings along.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Context;

use super::graph::Crate;

const HEADING: &str = "## Dependencies";

/// Each dependency that the README of a published crate does not name, and each that it names and does not have.
pub(crate) fn check(crates: &[Crate]) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for it in crates.iter().filter(|it| it.published) {
        let path = it.folder.join("README.md");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        findings.extend(compare(&it.name, &it.normal, &text));
    }
    Ok(findings)
}

fn compare(name: &str, dependencies: &[String], readme: &str) -> Vec<String> {
    let Some(named) = rows(readme) else {
        return vec![format!("the README of {name} has no `{HEADING}` with a table of crate and why")];
    };
    let dependencies: BTreeSet<_> = dependencies.iter().map(String::as_str).collect();
    let missing = dependencies.difference(&named);
    let mut findings: Vec<_> =
        missing.map(|it| format!("the README of {name} does not say why it depends on {it}")).collect();
    let gone = named.difference(&dependencies);
    findings
        .extend(gone.map(|it| format!("the README of {name} names {it}, which is none of its dependencies")));
    findings
}

/// The first cells of the table of dependencies, where there is such a section. A row without a reason is none.
fn rows(readme: &str) -> Option<BTreeSet<&str>> {
    let mut lines = readme.lines().skip_while(|line| *line != HEADING);
    lines.next()?;
    let section = lines.take_while(|line| !line.starts_with("## "));
    let rows = section.filter_map(|line| line.strip_prefix('|')?.strip_suffix('|')?.split_once('|'));
    let with_reason = rows.map(|(name, why)| (name.trim(), why.trim())).filter(|(_, why)| !why.is_empty());
    // Behind the heading of the table and the line below it.
    Some(with_reason.map(|(name, _)| name.trim_matches('`')).skip(2).collect())
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[track_caller]
    fn check(dependencies: &[&str], readme: &str, expected: &[&str]) {
        let dependencies: Vec<_> = dependencies.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(compare("a", &dependencies, readme), expected);
    }

    #[test]
    fn a_table_that_is_complete_passes() {
        let table = "## Dependencies\n\n| crate | why |\n| --- | --- |\n| b | it is good |\n| `c` | too |\n\nNo more.\n";
        check(&["b", "c"], table, &[]);
        check(&[], "## Dependencies\n\nNone.\n", &[]);
    }

    #[test]
    fn rows_and_dependencies_are_the_same() {
        let table = "# a\n\n## Dependencies\n\n| crate | why |\n| --- | --- |\n| b | it is good |\n| c | |\n\
            \n## More\n\n| d | no |\n";
        check(&["b", "c"], table, &["the README of a does not say why it depends on c"]);
        check(&[], table, &["the README of a names b, which is none of its dependencies"]);
        check(
            &["b"],
            "b is used",
            &["the README of a has no `## Dependencies` with a table of crate and why"],
        );
    }
}
