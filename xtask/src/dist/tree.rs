//! What `cargo tree` says the binary is built from.
//!
//! Not `cargo metadata`: that resolves features for the whole workspace, tests among it, and so names crates that the binary
//! does not have.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};

/// Name and version.
pub(crate) type Id = (String, String);

/// A crate of the tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) needs: BTreeSet<Id>,
    /// Whether code of it is in the binary: not that of procedural macros, which only run in the compiler.
    pub(crate) linked: bool,
    is_macro: bool,
}

/// The crates below one, with itself.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: Id,
    pub(crate) nodes: BTreeMap<Id, Node>,
}

impl Tree {
    /// Reads what `cargo tree --prefix depth --format {p}` prints: a line such as `3serde_derive v1.0.0 (proc-macro) (*)`.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut nodes: BTreeMap<Id, Node> = BTreeMap::new();
        let mut above: Vec<Id> = Vec::new();
        for line in text.lines() {
            let unknown = || format!("cargo tree has the line `{line}`, which is no depth and package");
            let name_at = line.find(|it: char| !it.is_ascii_digit()).with_context(unknown)?;
            let (depth, package) = line.split_at(name_at);
            let depth: usize = depth.parse().with_context(unknown)?;
            let mut words = package.split(' ');
            let (Some(name), Some(version)) = (words.next(), words.next()) else { bail!(unknown()) };
            let version = version.strip_prefix('v').with_context(unknown)?;
            let id: Id = (name.to_owned(), version.to_owned());
            if depth > above.len() || (depth == 0) != above.is_empty() {
                bail!("cargo tree has the line `{line}` at a depth that follows none");
            }
            above.truncate(depth);
            if let Some(parent) = above.last().and_then(|it| nodes.get_mut(it)) {
                parent.needs.insert(id.clone());
            }
            nodes.entry(id.clone()).or_default().is_macro |= words.any(|it| it == "(proc-macro)");
            above.push(id);
        }
        let root = above.into_iter().next().context("cargo tree prints nothing")?;
        let mut tree = Self { root, nodes };
        tree.link();
        Ok(tree)
    }

    /// Marks what can be reached from the root without a procedural macro.
    fn link(&mut self) {
        let mut open = vec![self.root.clone()];
        while let Some(id) = open.pop() {
            if let Some(node) = self.nodes.get_mut(&id)
                && !node.linked
                && !node.is_macro
            {
                node.linked = true;
                open.extend(node.needs.iter().cloned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;

    const TEXT: &str = "\
0app v0.1.0 (/folder with blanks/app)
1macros v1.0.0 (proc-macro)
2syn v2.0.0
3shared v1.0.0
1lib v2.1.0+spec-1.0.0
2shared v1.0.0
1shared v1.0.0 (*)
";

    #[test]
    fn edges_and_what_is_linked_are_read() {
        let tree = Tree::parse(TEXT).unwrap();
        assert_eq!(tree.root, ("app".to_owned(), "0.1.0".to_owned()));
        let shown: Vec<_> = tree
            .nodes
            .iter()
            .map(|((name, version), node)| {
                let needs: Vec<_> = node.needs.iter().map(|(name, _)| name.as_str()).collect();
                format!("{name} {version} needs {needs:?} linked {}", node.linked)
            })
            .collect();
        assert_eq!(
            shown,
            [
                r#"app 0.1.0 needs ["lib", "macros", "shared"] linked true"#,
                r#"lib 2.1.0+spec-1.0.0 needs ["shared"] linked true"#,
                r#"macros 1.0.0 needs ["syn"] linked false"#,
                r#"shared 1.0.0 needs [] linked true"#,
                r#"syn 2.0.0 needs ["shared"] linked false"#,
            ]
        );
    }

    #[test]
    fn other_lines_are_refused() {
        for text in [
            "",
            "app v1.0.0",
            "0app",
            "0app 1.0.0",
            "1app v1.0.0",
            "0a v1.0.0\n2b v1.0.0",
            "0",
            "0a v1\n0b v1",
        ] {
            assert!(Tree::parse(text).is_err(), "{text:?}");
        }
    }
}
