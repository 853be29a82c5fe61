//! The vectors of the reference, and that the runner is strict.

use std::path::Path;

use ditto_tests::conformance::{self, Row, Verdict};
use serde_json::{Value, json};

fn vectors() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
}

#[test]
fn every_vector_passes_or_differs_on_purpose() -> anyhow::Result<()> {
    let report = conformance::run(vectors())?;
    let findings: Vec<_> = report.files.iter().flat_map(|file| &file.findings).collect();
    assert!(report.is_success(), "{findings:#?}");
    for (file, rows) in [("protocol", 247), ("topicpath", 79), ("entity-ids", 124)] {
        let found = report.files.iter().find(|report| report.file == file);
        let counted =
            found.map(|report| report.passed + report.failed.len() + report.known_differences.len());
        assert_eq!(counted, Some(rows), "{file}");
    }
    Ok(())
}

/// Each member of each expectation, changed or removed in turn, must make the row fail.
#[test]
fn a_changed_expectation_fails() -> anyhow::Result<()> {
    let differences = conformance::Differences::of_project()?;
    let mut changed = 0;
    for file in ["protocol", "topicpath", "entity-ids"] {
        let driver = conformance::driver(file).expect("driven above");
        for row in conformance::load(&vectors().join(format!("{file}.ndjson")))? {
            if differences.class_of(file, &row.json).is_some() {
                continue;
            }
            for place in places(&row.json["expect"]) {
                let informative = driver.rules.informative.iter().any(|name| place == format!("/{name}"));
                let breaks = row.json["expect"]["error"]["code"]
                    .as_str()
                    .is_some_and(|code| code.starts_with("java:"));
                if informative || breaks {
                    continue;
                }
                let mut mutant = Row { id: row.id.clone(), json: row.json.clone() };
                let at = mutant.json["expect"].pointer_mut(&place).expect("a place of this value");
                if *at == json!("<text>") {
                    continue;
                }
                *at = match &*at {
                    Value::String(text) => json!(format!("{text}x")),
                    Value::Bool(value) => json!(!*value),
                    Value::Number(number) => json!(number.as_f64().unwrap_or_default() + 1e6),
                    _ => json!("something else"),
                };
                changed += 1;
                let verdict = conformance::check(file, driver, &mutant, &differences);
                assert!(
                    matches!(verdict, Verdict::Failed(_)),
                    "{file} {} passes with {place} changed",
                    row.id
                );
            }
        }
    }
    assert!(changed > 3_000, "only {changed} members were changed");
    Ok(())
}

/// JSON pointers of all leaves and of all containers below the root.
fn places(value: &Value) -> Vec<String> {
    let mut places = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((at, value)) = open.pop() {
        if !at.is_empty() {
            places.push(at.clone());
        }
        match value {
            Value::Object(members) => open.extend(members.iter().map(|(name, value)| {
                (format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), value)
            })),
            Value::Array(elements) => {
                open.extend(elements.iter().enumerate().map(|(n, value)| (format!("{at}/{n}"), value)));
            }
            _ => {}
        }
    }
    places
}
