//! The bill of materials: CycloneDX 1.5 as JSON.

use serde_json::{Map, Value, json};

use super::parts::Part;

/// A bill of the parts of a binary, the first of them being the binary itself. `time` is when its source was committed, as
/// `2026-11-25T04:55:00Z`; there is no serial number, so that the same source gives the same text.
pub(crate) fn write(parts: &[Part], target: &str, time: &str) -> String {
    let Some((binary, libraries)) = parts.split_first() else { return String::new() };
    let mut application = component(binary, "application");
    // The target decides which parts there are.
    application.insert("properties".to_owned(), json!([{ "name": "target", "value": target }]));
    let edges: Vec<_> =
        parts.iter().map(|part| json!({ "ref": part.purl, "dependsOn": sorted(&part.needs) })).collect();
    let bill = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time,
            "tools": { "components": [
                { "type": "application", "name": "cargo xtask dist", "version": env!("CARGO_PKG_VERSION") },
            ] },
            "component": application,
        },
        "components": libraries.iter().map(|part| component(part, "library")).collect::<Vec<_>>(),
        "dependencies": edges,
    });
    format!("{bill:#}\n")
}

fn component(part: &Part, kind: &str) -> Map<String, Value> {
    // `excluded`: it ran in the compiler, and nothing of it is in the binary.
    let scope = if part.linked { "required" } else { "excluded" };
    let hashes = part.checksum.as_ref().map(|it| json!([{ "alg": "SHA-256", "content": it }]));
    let members = [
        ("type", Some(json!(kind))),
        ("bom-ref", Some(json!(part.purl))),
        ("name", Some(json!(part.name))),
        ("version", Some(json!(part.version))),
        ("scope", Some(json!(scope))),
        ("hashes", hashes),
        ("licenses", Some(json!([{ "expression": part.licence }]))),
        ("cpe", part.cpe.as_ref().map(|it| json!(it))),
        ("purl", Some(json!(part.purl))),
    ];
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn sorted(needs: &[String]) -> Vec<&str> {
    let mut needs: Vec<_> = needs.iter().map(String::as_str).collect();
    needs.sort_unstable();
    needs
}

#[cfg(test)]
mod tests;
