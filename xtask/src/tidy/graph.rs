//! Crates of the workspace and what they name.

use std::path::{Path, PathBuf};

use anyhow::Context;
use cargo_metadata::{DependencyKind, MetadataCommand};

/// A crate with the names in its manifest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// Whether it is for others.
    pub(crate) published: bool,
    /// `[dependencies]` and `[build-dependencies]`, of every platform.
    pub(crate) normal: Vec<String>,
    /// `[dev-dependencies]`.
    pub(crate) dev: Vec<String>,
}

/// The manifests as cargo reads them; nothing is resolved, so nothing is fetched.
pub(crate) fn read(root: &Path) -> anyhow::Result<Vec<Crate>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("cannot read the workspace with `cargo metadata`")?;
    let crates = metadata.packages.iter().map(|package| {
        let folder = package.manifest_path.parent().map(|it| it.as_std_path().to_path_buf());
        let mut found = Crate {
            name: package.name.to_string(),
            folder: folder.unwrap_or_default(),
            published: package.publish != Some(Vec::new()),
            ..Crate::default()
        };
        for dependency in &package.dependencies {
            match dependency.kind {
                DependencyKind::Development => found.dev.push(dependency.name.clone()),
                _ => found.normal.push(dependency.name.clone()),
            }
        }
        found
    });
    Ok(crates.collect())
}
