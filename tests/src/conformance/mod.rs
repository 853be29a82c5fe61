//! Runs the vectors of the reference against our crates, by the rules in docs/testing.md.

mod compare;
mod defined;
mod differences;
mod drivers;
mod exchange;
mod published;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};

pub use self::compare::{Rules, compare};
pub use self::differences::Differences;
use self::drivers::DRIVERS;
pub use self::drivers::Driver;

/// One row of a vector file.
#[derive(Debug, Clone)]
pub struct Row {
    /// Unique in its file.
    pub id: String,
    /// The whole line.
    pub json: Value,
}

/// How the rows of one file ended; every row is in exactly one of the three.
#[derive(Debug, Serialize)]
pub struct FileReport {
    /// Name without `.ndjson`.
    pub file: String,
    /// Rows that answered as the reference.
    pub passed: usize,
    /// Rows that did not, by id.
    pub failed: Vec<String>,
    /// Rows that answer as a class of differences.toml says, by id.
    pub known_differences: Vec<String>,
    /// What differed, by row; not part of the machine-readable report.
    #[serde(skip)]
    pub findings: Vec<(String, String)>,
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Files with a driver.
    pub files: Vec<FileReport>,
    /// Files without.
    pub not_driven: Vec<String>,
}

impl Report {
    /// Whether no row failed.
    pub fn is_success(&self) -> bool {
        self.files.iter().all(|file| file.failed.is_empty())
    }
}

/// Runs the chosen vector files of `dir`, by name without `.ndjson`.
///
/// # Errors
/// A file cannot be read, is no NDJSON, has an id twice, or has no row at all.
pub fn run(dir: &Path, is_chosen: impl Fn(&str) -> bool) -> Result<Report> {
    let differences = Differences::of_project()?;
    let mut paths: Vec<_> = fs::read_dir(dir)
        .with_context(|| format!("read {}", dir.display()))?
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ndjson"))
        .collect();
    paths.sort();
    anyhow::ensure!(!paths.is_empty(), "no .ndjson file in {}", dir.display());
    let mut report = Report::default();
    for path in paths {
        let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match driver(&file).filter(|_| is_chosen(&file)) {
            Some(driver) => report.files.push(run_file(&file, driver, &load(&path)?, &differences)?),
            None => report.not_driven.push(file),
        }
    }
    Ok(report)
}

/// The driver of a file.
pub fn driver(file: &str) -> Option<&'static Driver> {
    DRIVERS.iter().find(|driver| driver.file == file)
}

/// Reads the rows of a file.
///
/// # Errors
/// A line is no JSON object with an id, or an id occurs twice.
pub fn load(path: &Path) -> Result<Vec<Row>> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let mut rows: Vec<Row> = Vec::new();
    let mut ids = std::collections::HashSet::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut json: Value =
            serde_json::from_str(line).with_context(|| format!("{}:{}: no json", path.display(), at + 1))?;
        let id = json
            .get("id")
            .and_then(Value::as_str)
            .with_context(|| format!("{}:{}: no id", path.display(), at + 1))?
            .to_owned();
        if id == "_meta" {
            continue;
        }
        anyhow::ensure!(ids.insert(id.clone()), "{}:{}: id {id} occurs twice", path.display(), at + 1);
        // Addresses are judged twice, which their rows say in two members.
        if let (None, Some(config), Some(run)) =
            (json.get("expect"), json.get("config_time"), json.get("run_time"))
        {
            json["expect"] = json!({ "config_time": config, "run_time": run });
        }
        // Requests have their answers beside them.
        if let Some(steps) = json.get("steps").and_then(Value::as_array) {
            let answers: Vec<_> = steps.iter().map(|step| step["expect"].clone()).collect();
            json["expect"] = json!({ "steps": answers });
        }
        // A definition that is told in a sentence.
        if json["expect"]["normalized"] == json!({ "<recipe>": "request with defaults filled in" }) {
            json["expect"]["normalized"] = defined::with_defaults(&json["request"]);
        }
        rows.push(Row { id, json });
    }
    anyhow::ensure!(!rows.is_empty(), "{} has no row", path.display());
    Ok(rows)
}

/// Runs the rows of one file.
///
/// # Errors
/// A difference class names an expectation that does not exist.
pub fn run_file(file: &str, driver: &Driver, rows: &[Row], differences: &Differences) -> Result<FileReport> {
    let mut report = FileReport {
        file: file.to_owned(),
        passed: 0,
        failed: Vec::new(),
        known_differences: Vec::new(),
        findings: Vec::new(),
    };
    for row in rows {
        match check(file, driver, row, differences) {
            Verdict::Passed => report.passed += 1,
            Verdict::KnownDifference => report.known_differences.push(row.id.clone()),
            Verdict::Failed(findings) => {
                report.failed.push(row.id.clone());
                report.findings.extend(findings.into_iter().map(|finding| (row.id.clone(), finding)));
            }
        }
    }
    Ok(report)
}

/// How a row ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As the reference.
    Passed,
    /// As the class that the row falls into says, and not as the reference.
    KnownDifference,
    /// Neither; what differs.
    Failed(Vec<String>),
}

/// Runs one row.
pub fn check(file: &str, driver: &Driver, row: &Row, differences: &Differences) -> Verdict {
    judge(file, driver, row, &answer(driver, row), differences)
}

/// Our answer to a row. The driver does not get to see what the row expects.
pub fn answer(driver: &Driver, row: &Row) -> Value {
    let mut asked = row.json.clone();
    if let Some(members) = asked.as_object_mut() {
        members.retain(|name, _| !["expect", "config_time", "run_time"].contains(&name.as_str()));
    }
    (driver.run)(&asked)
}

/// Compares an answer with what the row expects.
pub fn judge(file: &str, driver: &Driver, row: &Row, answer: &Value, differences: &Differences) -> Verdict {
    // A row of a class is judged by the class alone: a difference is a decision, not a second chance.
    if let Some(ours) = differences.expectation(file, &row.json) {
        let findings = driver.findings(&ours, answer);
        return if findings.is_empty() { Verdict::KnownDifference } else { Verdict::Failed(findings) };
    }
    let expected = row.json.get("expect").cloned().unwrap_or_default();
    let findings = driver.findings(&expected, answer);
    if findings.is_empty() { Verdict::Passed } else { Verdict::Failed(findings) }
}
