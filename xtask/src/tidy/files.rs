//! Rules about files.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A longer file is two.
const MAX_LINES: usize = 600;
/// What must not be in a Rust file, written so that this file passes.
const FORBIDDEN: [(&str, &str); 3] = [
    (concat!("to", "do!("), "unfinished work"),
    (concat!("unimple", "mented!("), "unfinished work"),
    (concat!("#[ig", "nore"), "a test that does not run"),
];
/// Extensions of the files that must end with a line break.
const TEXT: [&str; 7] = ["rs", "toml", "md", "yml", "yaml", "json", "ndjson"];

pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    let licence = fs::read(root.join("LICENSE")).context("cannot read LICENSE")?;
    for manifest in manifests(root)? {
        let folder = manifest.parent().unwrap_or(root);
        let text =
            fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
        let name = shown(root, folder);
        findings.extend(check_crate(&name, &text, folder.join("README.md").exists()));
        if name.starts_with("crates/") && fs::read(folder.join("LICENSE")).ok() != Some(licence.clone()) {
            findings
                .push(format!("{name} has no LICENSE for its package: `ln -s ../../LICENSE {name}/LICENSE`"));
        }
    }
    for path in walk(root)? {
        let is_text = path.extension().and_then(OsStr::to_str).is_some_and(|it| TEXT.contains(&it));
        if is_text {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            findings.extend(check_text(&shown(root, &path), &String::from_utf8_lossy(&bytes)));
        }
    }
    Ok(findings)
}

fn check_crate(name: &str, manifest: &str, readme: bool) -> Vec<String> {
    let mut findings = Vec::new();
    // The test kit and xtask are not published; the other crates show their README as documentation.
    if !readme && name.starts_with("crates/") {
        findings.push(format!("{name} has no README.md"));
    }
    let inherits = manifest
        .parse::<toml_edit::DocumentMut>()
        .is_ok_and(|it| it.get("lints").and_then(|lints| lints.get("workspace")?.as_bool()) == Some(true));
    if !inherits {
        findings.push(format!("{name}/Cargo.toml has no `[lints] workspace = true`"));
    }
    findings
}

fn check_text(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if !text.is_empty() && !text.ends_with('\n') {
        findings.push(format!("{name} does not end with a line break"));
    }
    if !name.ends_with(".rs") {
        return findings;
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        findings.push(format!("{name} has {lines} lines, more than {MAX_LINES}"));
    }
    for (number, line) in text.lines().enumerate() {
        for (what, why) in FORBIDDEN.iter().filter(|(what, _)| line.contains(what)) {
            findings.push(format!("{name}:{} has `{what}`: {why}", number + 1));
        }
    }
    findings
}

/// Manifests of the members.
fn manifests(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found: Vec<_> =
        walk(root)?.into_iter().filter(|it| it.file_name() == Some(OsStr::new("Cargo.toml"))).collect();
    found.retain(|it| it.parent() != Some(root) && it.components().all(|part| part.as_os_str() != "fuzz"));
    Ok(found)
}

/// Files of the repository, sorted, without what is built or hidden (but with `.github` and `.ci`). Vectors and other
/// data below `tests/vectors` are kept as they were handed out.
pub(crate) fn walk(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut open = vec![root.to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let hidden = name.starts_with('.') && ![".github", ".ci", ".cargo"].contains(&&*name);
            if entry.file_type()?.is_dir() {
                let left_out =
                    name == "target" || name == "vectors" || name == "corpus" || name == "node_modules";
                if !hidden && !left_out {
                    open.push(path);
                }
            } else if !hidden {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// A path as findings show it.
pub(crate) fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::{MAX_LINES, check_crate, check_text};

    #[track_caller]
    fn check(name: &str, text: &str, expected: &[&str]) {
        assert_eq!(check_text(name, text), expected);
    }

    #[test]
    fn good_files_pass() {
        check("a.rs", "fn main() {}\n", &[]);
        check("a.rs", "", &[]);
        check("a.md", &"line\n".repeat(MAX_LINES + 1), &[]);
    }

    #[test]
    fn bad_files_are_named() {
        check("a.md", "text", &["a.md does not end with a line break"]);
        check("a.rs", &"\n".repeat(MAX_LINES + 1), &["a.rs has 601 lines, more than 600"]);
        check("a.rs", concat!("\nto", "do!()\n"), &[concat!("a.rs:2 has `to", "do!(`: unfinished work")]);
        check(
            "a.rs",
            concat!("#[ig", "nore = \"slow\"]\n"),
            &[concat!("a.rs:1 has `#[ig", "nore`: a test that does not run")],
        );
    }

    #[test]
    fn crates_have_a_readme_and_our_lints() {
        assert!(check_crate("crates/a", "[lints]\nworkspace = true\n", true).is_empty());
        assert!(check_crate("xtask", "lints.workspace = true\n", false).is_empty());
        assert_eq!(check_crate("crates/a", "[lints]\nworkspace = false\n", false).len(), 2);
        assert_eq!(check_crate("crates/a", "[package]\n# [lints]\n# workspace = true\n", true).len(), 1);
    }
}
