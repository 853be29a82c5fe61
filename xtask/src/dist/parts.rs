//! What the binary is made of: crates, and the C libraries that they bundle.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use cargo_metadata::{Metadata, Package};
use toml_edit::{DocumentMut, Item};

use super::bundled::{self, Bundled};
use super::tree::{Id, Tree};

/// A crate, or a C library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression.
    pub(crate) licence: String,
    /// A package URL, which no two parts share.
    pub(crate) purl: String,
    pub(crate) cpe: Option<String>,
    /// SHA-256 of the package in the registry, in hexadecimal.
    pub(crate) checksum: Option<String>,
    /// Whether code of it is in the binary.
    pub(crate) linked: bool,
    /// The purls of what it needs.
    pub(crate) needs: Vec<String>,
    pub(crate) origin: Origin,
}

/// Where the texts of its licences are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Ours: the licence of the project.
    Workspace,
    /// Files in the root of a package.
    Package(PathBuf),
    /// These files.
    Files(Vec<PathBuf>),
}

/// The parts, sorted, the binary itself first.
pub(crate) fn collect(tree: &Tree, metadata: &Metadata, lock: &str) -> anyhow::Result<Vec<Part>> {
    let checksums = checksums(lock)?;
    let packages: BTreeMap<Id, &Package> =
        metadata.packages.iter().map(|it| ((it.name.to_string(), it.version.to_string()), it)).collect();
    let (mut first, mut parts) = (None, Vec::new());
    for (id, node) in &tree.nodes {
        let (name, version) = id;
        let package = packages.get(id).with_context(|| format!("cargo metadata has no {name} {version}"))?;
        let mut part = Part {
            name: name.clone(),
            version: version.clone(),
            licence: package.license.as_deref().map(expression).with_context(|| {
                format!("{name} {version} names no licence; look at it and make it known to dist/parts.rs")
            })?,
            purl: purl(id),
            cpe: None,
            checksum: checksums.get(id).cloned(),
            linked: node.linked,
            needs: node.needs.iter().map(purl).collect(),
            origin: match package.source {
                None => Origin::Workspace,
                Some(_) => Origin::Package(folder(package)),
            },
        };
        let libraries: Vec<_> = bundled::TABLE.iter().filter(|it| it.linked_by == name).collect();
        let has_library = package.links.is_some() && !bundled::WITHOUT_LIBRARY.contains(&name.as_str());
        if has_library && libraries.is_empty() {
            bail!("{name} links a library that dist/bundled.rs does not know: add a line, and one to NOTICE");
        }
        for library in libraries {
            let library = part_of(library, metadata)?;
            part.needs.push(library.purl.clone());
            parts.push(library);
        }
        if *id == tree.root {
            first = Some(part);
        } else {
            parts.push(part);
        }
    }
    parts.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    parts.insert(0, first.context("the tree has no root")?);
    Ok(parts)
}

fn part_of(library: &Bundled, metadata: &Metadata) -> anyhow::Result<Part> {
    let mut sources = metadata.packages.iter().filter(|it| it.name == library.source);
    let (Some(source), None) = (sources.next(), sources.next()) else {
        bail!(
            "the lock file has not exactly one {}, which has the source of {}",
            library.source,
            library.name
        );
    };
    let folder = folder(source);
    let version = library.version(&source.version.to_string(), &folder)?;
    Ok(Part {
        name: library.name.to_owned(),
        licence: library.licence.to_owned(),
        purl: format!("{}{version}", library.purl),
        cpe: library.cpe.map(|it| format!("cpe:2.3:a:{it}:{version}:*:*:*:*:*:*:*")),
        checksum: None,
        linked: true,
        needs: Vec::new(),
        origin: Origin::Files(library.texts.iter().map(|it| folder.join(it)).collect()),
        version,
    })
}

fn folder(package: &Package) -> PathBuf {
    package.manifest_path.parent().map(|it| it.as_std_path().to_path_buf()).unwrap_or_default()
}

fn purl((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// The old form `MIT/Apache-2.0` is no SPDX expression.
fn expression(licence: &str) -> String {
    licence.replace('/', " OR ")
}

fn checksums(lock: &str) -> anyhow::Result<BTreeMap<Id, String>> {
    let lock: DocumentMut = lock.parse().context("Cargo.lock is no TOML")?;
    let packages = lock.get("package").and_then(Item::as_array_of_tables);
    let packages = packages.context("Cargo.lock has no packages")?;
    let text = |it: &toml_edit::Table, key: &str| Some(it.get(key)?.as_str()?.to_owned());
    Ok(packages
        .iter()
        .filter_map(|it| Some(((text(it, "name")?, text(it, "version")?), text(it, "checksum")?)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{checksums, expression, purl};

    #[test]
    fn names_of_packages_are_urls() {
        let check = |version: &str| purl(&("a".to_owned(), version.to_owned()));
        assert_eq!(check("1.0.0"), "pkg:cargo/a@1.0.0");
        assert_eq!(check("1.0.0+2.0"), "pkg:cargo/a@1.0.0%2B2.0");
        assert_eq!(expression("MIT/Apache-2.0"), "MIT OR Apache-2.0");
    }

    #[test]
    fn only_what_is_from_elsewhere_has_a_checksum() {
        let lock = "[[package]]\nname = 'ours'\nversion = '1.0.0'\n\n[[package]]\nname = 'b'\nversion = '2.0.0'\n\
            source = 'registry'\nchecksum = 'ab12'\n";
        let found: Vec<_> = checksums(lock).unwrap().into_iter().collect();
        assert_eq!(found, [(("b".to_owned(), "2.0.0".to_owned()), "ab12".to_owned())]);
    }
}
