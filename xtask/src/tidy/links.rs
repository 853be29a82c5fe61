//! Links between documents.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::Context;

use super::files::{shown, walk};

/// Every link to a file of the repository that is not there.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for path in walk(root)? {
        if path.extension() != Some(OsStr::new("md")) {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let folder = path.parent().unwrap_or(root);
        for (line, file) in local_links(&text) {
            let target = match file.strip_prefix('/') {
                Some(file) => root.join(file),
                None => folder.join(file),
            };
            if !target.exists() {
                findings.push(format!("{}:{line} links to {file}, which is not there", shown(root, &path)));
            }
        }
    }
    Ok(findings)
}

/// Line and file of each inline link `[text](file)` or `![text](file)` that leads to a file: no address with a scheme, no
/// mere anchor, no path of Rust, nothing in code.
fn local_links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fence = None;
    for (number, line) in text.lines().enumerate() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => {
                // Every second piece between backticks is code.
                for piece in line.split('`').step_by(2) {
                    found.extend(links_of(piece).map(|file| (number + 1, file)));
                }
            }
            _ => {}
        }
    }
    found
}

fn links_of(piece: &str) -> impl Iterator<Item = &str> {
    // A text in backticks leaves `](file)` at the start of a piece, so the opening bracket is not looked for.
    piece.split("](").skip(1).filter_map(|rest| {
        let target = rest.split_once(')')?.0;
        let file = target.split(['#', ' ']).next().unwrap_or_default();
        let elsewhere = file.is_empty() || file.contains(':');
        (!elsewhere).then_some(file)
    })
}

#[cfg(test)]
mod tests {
    use super::local_links;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, &str)]) {
        assert_eq!(local_links(text), expected);
    }

    #[test]
    fn links_to_files_are_found() {
        check(
            "a [b](c.md) and [d](../e.md#f \"g\")\n\n![h](i.png)",
            &[(1, "c.md"), (1, "../e.md"), (3, "i.png")],
        );
        check("[`code`](docs/a.md)", &[(1, "docs/a.md")]);
    }

    #[test]
    fn other_links_are_not() {
        check("[a](https://example.org/b.md) [c](#d) [e](mailto:f@example.org) [g](crate::H)", &[]);
        check("`[a](b.md)` and\n```\n[c](d.md)\n```\n", &[]);
        check("an [open link](a.md", &[]);
    }
}
