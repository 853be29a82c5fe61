//! http and piggyback: the service's own program, with a real broker.

#![expect(clippy::indexing_slicing, reason = "a test: a panic is its answer")]

use ditto_tests::conformance::{self, Verdict};
use serde_json::Value;

#[test]
fn requests_are_answered_as_by_the_reference() -> anyhow::Result<()> {
    let differences = conformance::Differences::of_project()?;
    let mut changed = 0;
    for (file, count) in [("http", 56), ("piggyback", 45)] {
        let driver = conformance::driver(file).expect("it is driven");
        let rows = conformance::load(&super::vectors().join(format!("{file}.ndjson")))?;
        assert_eq!(rows.len(), count, "{file}");
        let (mut failed, mut findings) = (Vec::new(), Vec::new());
        for row in rows {
            let answer = (driver.run)(&row.json);
            if let Verdict::Failed(found) = conformance::judge(file, driver, &row, &answer, &differences) {
                findings.push(format!("{}: {found:#?}", row.id));
                failed.push(row.id);
                continue;
            }
            let ours = differences.expectation(file, &row.json);
            let expected = ours.as_ref().unwrap_or(&row.json["expect"]);
            // Headers that a row does not name are not compared.
            let mutants = |place: String| {
                let without = super::without(expected, &place).filter(|_| !place.contains("/headers/"));
                [super::with_other(expected, &place), without]
            };
            let places = super::places(expected).into_iter().filter(|place| is_compared(expected, place));
            for mutant in places.flat_map(mutants).flatten() {
                changed += 1;
                assert!(!driver.findings(&mutant, &answer).is_empty(), "{} passes: {mutant}", row.id);
            }
        }
        assert_eq!(failed, [""; 0], "{file}: {}", findings.join("\n"));
    }
    assert!(changed > 1_000, "only {changed} members were changed");
    Ok(())
}

/// Whether a place of an expectation is compared as it stands: not what the reference breaks at (rule 3), what is
/// informative, how lists are compared and what they may have more, nor secrets.
fn is_compared(expected: &Value, place: &str) -> bool {
    let Some((step, rest)) =
        place.strip_prefix("/steps/").map(|rest| rest.split_once('/').unwrap_or((rest, "")))
    else {
        return true;
    };
    let step = &expected["steps"][step.parse::<usize>().unwrap_or_default()];
    if step.is_null() {
        return true;
    }
    let breaks = step["internal_error"] == true
        || step["status"] == 408 && step["body"].is_null()
        || step["body"]["error"] == "connectivity:internalerror";
    let is_within = |name: &str| rest == name || rest.starts_with(&format!("{name}/"));
    let informative =
        ["headers/entity-revision", "headers/response-required", "compare", "mentions", "internal_error"];
    let is_left_open = informative.iter().any(|name| is_within(name))
        // Members that are not listed are not compared.
        || rest.is_empty()
        || rest == "headers"
        // A list that may have more has less.
        || !step["compare"].is_null() && is_within("body")
        // Ours may say more.
        || rest.ends_with("/description")
        || rest.ends_with("/uri") && place.contains("connection")
        || is_note(step, rest)
        || rest == "body" && (step["body"].is_string() || step["body"].is_null());
    !breaks && !is_left_open
}

/// Whether a place is in an entry of a log that is about the connection itself, or is the whole entry: these are informative.
fn is_note(step: &Value, place: &str) -> bool {
    let Some((before, rest)) = place.split_once("connectionLogs/") else { return false };
    let (n, member) = rest.split_once('/').unwrap_or((rest, ""));
    step.pointer(&format!("/{before}connectionLogs/{n}/category")) == Some(&Value::from("connection"))
        && member != "category"
}
