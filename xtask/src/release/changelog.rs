//! Fragments of `docs/changelog.d`, and the section of a version that they become.

use std::fs;
use std::path::Path;

use anyhow::Context;
use cargo_metadata::semver::Version;

/// Where fragments are, from the root.
pub(crate) const FOLDER: &str = "docs/changelog.d";

/// What a change is to a user, in the order of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Security,
    Change,
    Feature,
    Fix,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Security, Self::Change, Self::Feature, Self::Fix];

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Change => "change",
            Self::Feature => "feature",
            Self::Fix => "fix",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Security => "Security",
            Self::Change => "Changed",
            Self::Feature => "New",
            Self::Fix => "Fixed",
        }
    }
}

/// One change: `<number>_<words>.<type>.md` with a paragraph.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    kind: Kind,
    number: u32,
    /// The name of its file.
    pub(crate) file: String,
    text: String,
}

impl Fragment {
    fn parse(file: &str, text: &str) -> Result<Self, String> {
        let form =
            || format!("{FOLDER}/{file} is not named `<number>_<words>.<type>.md` with one of {}", words());
        let (name, kind) = file.strip_suffix(".md").and_then(|it| it.rsplit_once('.')).ok_or_else(form)?;
        let (number, rest) = name.split_once('_').ok_or_else(form)?;
        let (Some(kind), Ok(number), false) = (Kind::of(kind), number.parse(), rest.is_empty()) else {
            return Err(form());
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(format!("{FOLDER}/{file} says nothing"));
        }
        let structure = |line: &str| line.trim().is_empty() || line.starts_with(['#', '-', '*']);
        if let Some(line) = text.lines().position(structure) {
            return Err(format!(
                "{FOLDER}/{file}:{} is no line of a paragraph, and a fragment is one",
                line + 1
            ));
        }
        Ok(Self { kind, number, file: file.to_owned(), text: text.to_owned() })
    }
}

fn words() -> String {
    Kind::ALL.map(Kind::word).join(", ")
}

/// The fragments, in the order of their numbers, and what is wrong with others.
pub(crate) fn read_fragments(root: &Path) -> anyhow::Result<(Vec<Fragment>, Vec<String>)> {
    let folder = root.join(FOLDER);
    let (mut fragments, mut findings) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if file == "README.md" {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        match Fragment::parse(&file, &text) {
            Ok(fragment) => fragments.push(fragment),
            Err(finding) => findings.push(finding),
        }
    }
    fragments.sort_by(|one, other| (one.number, &one.file).cmp(&(other.number, &other.file)));
    findings.sort();
    Ok((fragments, findings))
}

/// The section of a version; `date` as 2026-11-25.
pub(crate) fn section(version: &Version, date: &str, fragments: &[Fragment]) -> String {
    let mut section = format!("## {version} ({date})\n");
    for kind in Kind::ALL {
        let mut of_kind = fragments.iter().filter(|it| it.kind == kind).peekable();
        if of_kind.peek().is_some() {
            section.push_str(&format!("\n### {}\n\n", kind.heading()));
        }
        for fragment in of_kind {
            let lines: Vec<_> = fragment.text.lines().map(str::trim).collect();
            section.push_str(&format!("- {}\n", lines.join("\n  ")));
        }
    }
    section
}

/// The changelog with another section before the others.
pub(crate) fn insert(changelog: &str, section: &str) -> String {
    let before: Vec<_> = changelog.lines().take_while(|line| !line.starts_with("## ")).collect();
    let after: Vec<_> = changelog.lines().skip(before.len()).collect();
    let mut whole = format!("{}\n\n{section}", before.join("\n").trim_end());
    if !after.is_empty() {
        whole.push_str(&format!("\n{}\n", after.join("\n")));
    }
    whole
}

/// The section of a version without its heading.
pub(crate) fn find(changelog: &str, version: &Version) -> Option<String> {
    let heading = format!("## {version} (");
    let mut lines = changelog.lines().skip_while(|line| !line.starts_with(&heading));
    lines.next()?;
    let body: Vec<_> = lines.take_while(|line| !line.starts_with("## ")).collect();
    Some(body.join("\n").trim().to_owned())
}

#[cfg(test)]
mod tests;
