//! Which crate may name which.

use std::collections::BTreeSet;

use super::graph::Crate;

/// A crate and the crates of the workspace that its `[dependencies]` may name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edges {
    pub(crate) name: &'static str,
    pub(crate) may_name: &'static [&'static str],
}

/// A crate from outside that only some of ours may name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserved {
    pub(crate) name: &'static str,
    pub(crate) only: &'static [&'static str],
}

const fn edges(name: &'static str, may_name: &'static [&'static str]) -> Edges {
    Edges { name, may_name }
}

/// The table of docs/architecture.md, lowest crate first. A new line or name here is a decision about the architecture.
pub(crate) const TABLE: &[Edges] = &[
    edges("ditto-json", &[]),
    edges("ditto-placeholder", &[]),
    edges("ditto-kafka", &[]),
    edges("xtask", &[]),
    edges("ditto-rql", &["ditto-json"]),
    edges("ditto-protocol", &["ditto-json"]),
    edges("ditto-authorization", &["ditto-json", "ditto-protocol"]),
    edges("ditto-mapping", &["ditto-json", "ditto-protocol", "ditto-placeholder"]),
    edges("ditto-javascript", &["ditto-protocol", "ditto-mapping"]),
    edges("ditto-connection", &["ditto-json", "ditto-rql", "ditto-protocol", "ditto-placeholder"]),
    edges(
        "ditto-outbound",
        &[
            "ditto-json",
            "ditto-rql",
            "ditto-protocol",
            "ditto-placeholder",
            "ditto-authorization",
            "ditto-connection",
            "ditto-mapping",
        ],
    ),
    edges(
        "ditto-connectivity",
        &[
            "ditto-json",
            "ditto-rql",
            "ditto-protocol",
            "ditto-placeholder",
            "ditto-authorization",
            "ditto-connection",
            "ditto-mapping",
            "ditto-javascript",
            "ditto-outbound",
            "ditto-kafka",
        ],
    ),
    edges(
        "ditto-tests",
        &[
            "ditto-json",
            "ditto-rql",
            "ditto-protocol",
            "ditto-placeholder",
            "ditto-authorization",
            "ditto-connection",
            "ditto-mapping",
            "ditto-javascript",
            "ditto-outbound",
            "ditto-kafka",
            "ditto-connectivity",
        ],
    ),
];

/// Heavy, or an error type that must stay out of libraries.
pub(crate) const RESERVED: &[Reserved] = &[
    Reserved { name: "rdkafka", only: &["ditto-kafka", "ditto-tests"] },
    Reserved { name: "rdkafka-sys", only: &["ditto-kafka", "ditto-tests"] },
    Reserved { name: "rquickjs", only: &["ditto-javascript"] },
    Reserved { name: "nom", only: &["ditto-placeholder"] },
    Reserved { name: "anyhow", only: &["ditto-connectivity", "ditto-tests", "xtask"] },
];

/// Every edge that the table does not have, every crate that it does not know, every line of it without a crate.
pub(crate) fn check(table: &[Edges], reserved: &[Reserved], crates: &[Crate]) -> Vec<String> {
    let mut findings = Vec::new();
    let ours: BTreeSet<_> =
        crates.iter().map(|it| it.name.as_str()).chain(table.iter().map(|it| it.name)).collect();
    for it in table {
        if !crates.iter().any(|found| found.name == it.name) {
            findings.push(format!("the table of edges lists {}, which does not exist", it.name));
        }
    }
    for it in crates {
        let name = it.name.as_str();
        let Some(allowed) = table.iter().find(|line| line.name == name) else {
            findings.push(format!("{name} is not in the table of edges (xtask/src/tidy/edges.rs)"));
            continue;
        };
        for other in it.normal.iter().map(String::as_str).filter(|other| ours.contains(other)) {
            if !allowed.may_name.contains(&other) {
                findings.push(format!(
                    "{name} names {other} in [dependencies]: an edge that the table does not have"
                ));
            }
        }
        let below = below(table, allowed);
        for other in it.dev.iter().map(String::as_str).filter(|other| ours.contains(other)) {
            if other != name && !below.contains(other) {
                findings.push(format!("{name} names {other} in [dev-dependencies], which is not below it"));
            }
        }
        for line in reserved {
            let named = it.normal.iter().chain(&it.dev).any(|other| other == line.name);
            if named && !line.only.contains(&name) {
                findings.push(format!(
                    "{name} names {}, which only {} may",
                    line.name,
                    line.only.join(" and ")
                ));
            }
        }
    }
    findings
}

/// Everything that can be reached from a crate.
fn below(table: &[Edges], from: &Edges) -> BTreeSet<&'static str> {
    let mut found: BTreeSet<_> = from.may_name.iter().copied().collect();
    let mut open: Vec<_> = from.may_name.to_vec();
    while let Some(name) = open.pop() {
        for line in table.iter().filter(|line| line.name == name) {
            open.extend(line.may_name.iter().filter(|next| found.insert(next)));
        }
    }
    found
}

#[cfg(test)]
mod tests;
