//! The one version of the workspace, and where it is written.

use std::cmp::Ordering;

use anyhow::Context;
use cargo_metadata::semver::{BuildMetadata, Version};
use toml_edit::{DocumentMut, Item, Value};

/// A version as it is given on the command line.
pub(crate) fn parse(text: &str) -> Result<Version, String> {
    let version: Version =
        text.parse().map_err(|error| format!("`{text}` is no version such as 1.2.3: {error}"))?;
    if version.build != BuildMetadata::EMPTY {
        return Err(format!("`{text}` has a part behind `+`, which registries do not tell apart"));
    }
    Ok(version)
}

/// The version of the workspace, and its dependencies on own crates that ask for another one.
pub(crate) fn present(manifest: &str) -> anyhow::Result<(Version, Vec<String>)> {
    let manifest: DocumentMut = manifest.parse().context("Cargo.toml is no TOML")?;
    let workspace = manifest.get("workspace").context("Cargo.toml has no [workspace]")?;
    let version = workspace.get("package").and_then(|it| it.get("version")?.as_str());
    let version = version.context("Cargo.toml has no workspace.package.version")?;
    let dependencies = workspace.get("dependencies").and_then(Item::as_table_like);
    let own = dependencies.into_iter().flat_map(|it| it.iter()).filter(|(_, it)| it.get("path").is_some());
    let differing = own.filter(|(_, it)| it.get("version").and_then(Item::as_str) != Some(version));
    let findings =
        differing.map(|(name, _)| format!("workspace.dependencies asks for another {name} than {version}"));
    Ok((parse(version).map_err(anyhow::Error::msg)?, findings.collect()))
}

/// The manifest of the workspace with another version; everything else stays as it is, blanks and comments too.
pub(crate) fn write_to_manifest(manifest: &str, version: &Version) -> anyhow::Result<String> {
    let mut manifest: DocumentMut = manifest.parse().context("Cargo.toml is no TOML")?;
    let workspace = manifest.get_mut("workspace").context("Cargo.toml has no [workspace]")?;
    let of_package = workspace.get_mut("package").and_then(|it| it.get_mut("version"));
    set(of_package.context("Cargo.toml has no workspace.package.version")?, version);
    let dependencies = workspace.get_mut("dependencies").and_then(Item::as_table_like_mut);
    for (_, dependency) in dependencies.into_iter().flat_map(|it| it.iter_mut()) {
        if dependency.get("path").is_some()
            && let Some(item) = dependency.get_mut("version")
        {
            set(item, version);
        }
    }
    Ok(manifest.to_string())
}

/// The lock file with another version of the members: only they have no source.
pub(crate) fn write_to_lock(lock: &str, version: &Version) -> anyhow::Result<String> {
    let mut lock: DocumentMut = lock.parse().context("Cargo.lock is no TOML")?;
    let packages = lock.get_mut("package").and_then(Item::as_array_of_tables_mut);
    for package in packages.context("Cargo.lock has no packages")?.iter_mut() {
        if package.get("source").is_none()
            && let Some(item) = package.get_mut("version")
        {
            set(item, version);
        }
    }
    Ok(lock.to_string())
}

fn set(item: &mut Item, version: &Version) {
    if let Some(value) = item.as_value_mut() {
        let around = value.decor().clone();
        *value = Value::from(version.to_string());
        *value.decor_mut() = around;
    }
}

/// Why a version cannot follow the present one. `released`: whether there is a tag or a section of the present one.
pub(crate) fn step(present: &Version, next: &Version, released: bool) -> Result<(), String> {
    match next.cmp_precedence(present) {
        Ordering::Greater => Ok(()),
        // The first release: what is in the manifest was never made.
        Ordering::Equal if !released => Ok(()),
        Ordering::Equal => Err(format!("{next} is the present version, and it was released or prepared")),
        Ordering::Less => Err(format!("{next} is not greater than {present}, the present version")),
    }
}

/// How far apart two versions are, in the words of cargo-semver-checks: what of a 0.x comes first counts as major.
pub(crate) fn distance(base: &Version, version: &Version) -> &'static str {
    let zero = base.major == 0;
    if base.major != version.major || (zero && base.minor != version.minor) {
        "major"
    } else if zero || base.minor != version.minor {
        "minor"
    } else {
        "patch"
    }
}

#[cfg(test)]
mod tests {
    use super::{distance, parse, present, step, write_to_lock, write_to_manifest};

    const MANIFEST: &str = "[workspace.package]\nversion = '1.2.0' # all of them\n\n[workspace.dependencies]\n\
        good = { path = 'good', version = '1.2.0', features = [] }\nold = { path = 'old', version = '1.1.0' }\n\
        other = { version = '1.2.0' }\nshort = '1.2.0'\n";

    #[test]
    fn a_version_that_differs_is_named() {
        let (version, findings) = present(MANIFEST).unwrap();
        assert_eq!(version.to_string(), "1.2.0");
        assert_eq!(findings, ["workspace.dependencies asks for another old than 1.2.0"]);
    }

    #[test]
    fn only_own_versions_are_written() {
        let next = parse("1.3.0").unwrap();
        let expected = MANIFEST
            .replacen("version = '1.2.0' #", "version = \"1.3.0\" #", 1)
            .replace("'good', version = '1.2.0'", "'good', version = \"1.3.0\"")
            .replace("'1.1.0'", "\"1.3.0\"");
        assert_eq!(write_to_manifest(MANIFEST, &next).unwrap(), expected);
        let (version, findings) = present(&expected).unwrap();
        assert_eq!((version, findings), (next, vec![]));
        assert!(write_to_manifest("[package]\n", &parse("1.0.0").unwrap()).is_err());
    }

    #[test]
    fn the_lock_file_keeps_what_is_from_elsewhere() {
        let lock = "# made by cargo\nversion = 4\n\n[[package]]\nname = \"ours\"\nversion = \"1.2.0\"\n\
            dependencies = [\n \"other\",\n]\n\n[[package]]\nname = \"other\"\nversion = \"1.2.0\"\nsource = \"registry\"\n";
        let expected = lock.replacen("\"1.2.0\"", "\"1.3.0\"", 1);
        assert_eq!(write_to_lock(lock, &parse("1.3.0").unwrap()).unwrap(), expected);
    }

    #[test]
    fn versions_only_grow() {
        let check = |present: &str, next: &str, released| {
            step(&parse(present).unwrap(), &parse(next).unwrap(), released).is_ok()
        };
        assert!(check("0.1.0", "0.1.1", true));
        assert!(check("1.0.0-rc.1", "1.0.0", true));
        assert!(check("0.1.0", "0.1.0", false));
        assert!(!check("0.1.0", "0.1.0", true));
        assert!(!check("0.1.0", "0.0.9", false));
        assert!(!check("1.0.0", "1.0.0-rc.1", false));
    }

    #[test]
    fn texts_that_are_no_version_are_refused() {
        for text in ["", "v1.2.3", "1.2", "1.2.3.4", "01.2.3", "1.2.3+build", " 1.2.3", "1.2.3\n"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert_eq!(
            parse("v1.2.3").unwrap_err(),
            "`v1.2.3` is no version such as 1.2.3: unexpected character 'v' while parsing major version number"
        );
    }

    #[test]
    fn distances_are_those_of_cargo() {
        let check = |base, version| distance(&parse(base).unwrap(), &parse(version).unwrap());
        assert_eq!(check("1.2.3", "2.0.0"), "major");
        assert_eq!(check("1.2.3", "1.3.0"), "minor");
        assert_eq!(check("1.2.3", "1.2.4"), "patch");
        assert_eq!(check("0.2.3", "0.3.0"), "major");
        assert_eq!(check("0.2.3", "0.2.4"), "minor");
        assert_eq!(check("0.2.3", "1.0.0"), "major");
    }
}
