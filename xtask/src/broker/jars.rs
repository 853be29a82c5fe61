//! Where the classes of Kafka come from.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::java;
use super::lock::Lock;
use crate::console::progress;

/// The version that is taken from Maven Central unless the variable `KAFKA_VERSION` names another one.
const KAFKA_VERSION: &str = "3.9.2";
const SCALA: &str = "2.13";
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
const LOG4J_VERSION: &str = "2.24.3";
const MARKER: &str = ".complete";

/// A folder of jars that is a whole Kafka with its tools.
#[derive(Debug)]
pub(crate) struct Jars {
    pub(crate) folder: PathBuf,
    pub(crate) version: String,
}

impl Jars {
    /// `KAFKA_HOME/libs` if that is set, else the cache, which is filled the first time.
    ///
    /// # Errors
    /// If `KAFKA_HOME` is no Kafka, or the cache cannot be filled (no Maven, no registry).
    pub(crate) fn find() -> anyhow::Result<Self> {
        match env::var_os("KAFKA_HOME").filter(|home| !home.is_empty()) {
            Some(home) => Self::of_home(Path::new(&home)),
            None => Self::cached(&cache_root()?, wanted_version()?),
        }
    }

    /// The class path of every class of Kafka.
    pub(crate) fn class_path(&self) -> String {
        format!("{}/*", self.folder.display())
    }

    fn of_home(home: &Path) -> anyhow::Result<Self> {
        let folder = home.join("libs");
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("KAFKA_HOME has no folder of jars: {}", folder.display()))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let Some(version) = names.into_iter().find_map(|name| core_version(&name)) else {
            bail!("{} has no kafka_{SCALA}-<version>.jar", folder.display());
        };
        Ok(Self { folder, version })
    }

    fn cached(root: &Path, version: String) -> anyhow::Result<Self> {
        let name = format!("kafka-{version}");
        let jars = Self { folder: root.join(&name), version };
        if jars.folder.join(MARKER).exists() {
            return Ok(jars);
        }
        let _lock = Lock::acquire(&root.join(format!("{name}.lock")))?;
        if !jars.folder.join(MARKER).exists() {
            progress(format_args!("fetching Kafka {} into {}", jars.version, jars.folder.display()));
            let filling = root.join(format!("{name}.tmp"));
            remove(&filling)?;
            remove(&jars.folder)?;
            resolve(&filling, &jars.version)?;
            fs::rename(&filling, &jars.folder).context("cannot move the jars into place")?;
        }
        Ok(jars)
    }
}

fn wanted_version() -> anyhow::Result<String> {
    match env::var("KAFKA_VERSION") {
        Ok(version) if version.is_empty() => Ok(KAFKA_VERSION.to_owned()),
        Ok(version) if is_version(&version) => Ok(version),
        Ok(version) => bail!("KAFKA_VERSION is `{version}`, which is no version such as {KAFKA_VERSION}"),
        Err(env::VarError::NotPresent) => Ok(KAFKA_VERSION.to_owned()),
        Err(error) => Err(error).context("cannot read KAFKA_VERSION"),
    }
}

fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Lets Maven copy Kafka and everything below it into `folder`, with the marker as the last file.
fn resolve(folder: &Path, version: &str) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let project = folder.join("pom.xml");
    fs::write(&project, pom(version)).context("cannot write the project for Maven")?;
    let mut command = Command::new("mvn");
    command.args(["--quiet", "--batch-mode", "--file"]).arg(&project).arg(PLUGIN);
    command.arg(format!("-DoutputDirectory={}", folder.display()));
    java::run(&mut command).context("cannot fetch the jars of Kafka from Maven Central")?;
    fs::write(folder.join(MARKER), version).context("cannot write the marker of the cache")
}

/// A project with Kafka and its tools as dependencies. From version 4 on they come without a binding for their logs.
fn pom(version: &str) -> String {
    let core = format!("kafka_{SCALA}");
    let mut dependencies =
        vec![("org.apache.kafka", core.as_str(), version), ("org.apache.kafka", "kafka-tools", version)];
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major >= Some(4) {
        dependencies.push(("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION));
    }
    let dependencies: String = dependencies.iter().map(|(group, artifact, version)| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        )
    }).collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>local</groupId><artifactId>broker</artifactId><version>1</version><packaging>pom</packaging>\
         <dependencies>{dependencies}</dependencies></project>\n"
    )
}

/// `$XDG_CACHE_HOME/ditto-connectivity`, else `~/.cache/ditto-connectivity`.
fn cache_root() -> anyhow::Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
            .join(".cache"),
    };
    Ok(base.join("ditto-connectivity"))
}

/// The version in the name of Kafka's core jar.
fn core_version(name: &str) -> Option<String> {
    let version =
        name.strip_prefix("kafka_")?.strip_prefix(SCALA)?.strip_prefix('-')?.strip_suffix(".jar")?;
    is_version(version).then(|| version.to_owned())
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Jars, core_version, is_version, pom};

    #[test]
    fn kafka_4_needs_a_binding_for_logs() {
        assert!(!pom("3.9.2").contains("log4j"));
        assert!(pom("4.1.0").contains("log4j-slf4j-impl"));
        assert!(pom("10.0.0").contains("log4j-slf4j-impl"));
    }

    #[test]
    fn a_version_is_no_path_and_no_markup() {
        assert!(is_version("4.1.0"));
        for other in ["", "..", "../x", "4.1.0</version>"] {
            assert!(!is_version(other), "{other}");
        }
    }

    #[test]
    fn the_core_jar_names_the_version() {
        assert_eq!(core_version("kafka_2.13-4.1.0.jar").as_deref(), Some("4.1.0"));
        assert_eq!(core_version("kafka_2.13-4.1.0-test.jar"), None);
        assert_eq!(core_version("kafka-clients-4.1.0.jar"), None);
    }

    #[test]
    fn a_home_without_kafka_is_refused() {
        let error = Jars::of_home(&std::env::temp_dir().join("no-kafka-here")).unwrap_err();
        assert!(error.to_string().contains("KAFKA_HOME"), "{error}");
    }
}
