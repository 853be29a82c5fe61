//! Where the classes of Kafka come from.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::java;
use super::lock::Lock;
use crate::console::progress;

/// The version that is taken from Maven Central.
pub(crate) const KAFKA_VERSION: &str = "3.9.2";
const SCALA: &str = "2.13";
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
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
            None => Self::cached(&cache_root()?),
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

    fn cached(root: &Path) -> anyhow::Result<Self> {
        let folder = root.join(format!("kafka-{KAFKA_VERSION}"));
        let jars = Self { folder, version: KAFKA_VERSION.to_owned() };
        if jars.folder.join(MARKER).exists() {
            return Ok(jars);
        }
        let _lock = Lock::acquire(&root.join(format!("kafka-{KAFKA_VERSION}.lock")))?;
        if !jars.folder.join(MARKER).exists() {
            progress(format_args!("fetching Kafka {KAFKA_VERSION} into {}", jars.folder.display()));
            let filling = root.join(format!("kafka-{KAFKA_VERSION}.tmp"));
            remove(&filling)?;
            remove(&jars.folder)?;
            resolve(&filling)?;
            fs::rename(&filling, &jars.folder).context("cannot move the jars into place")?;
        }
        Ok(jars)
    }
}

/// Lets Maven copy Kafka and everything below it into `folder`, with the marker as the last file.
fn resolve(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let project = folder.join("pom.xml");
    fs::write(&project, pom()).context("cannot write the project for Maven")?;
    let mut command = Command::new("mvn");
    command.args(["--quiet", "--batch-mode", "--file"]).arg(&project).arg(PLUGIN);
    command.arg(format!("-DoutputDirectory={}", folder.display()));
    java::run(&mut command).context("cannot fetch the jars of Kafka from Maven Central")?;
    fs::write(folder.join(MARKER), KAFKA_VERSION).context("cannot write the marker of the cache")
}

fn pom() -> String {
    let dependency = |artifact: &str| {
        format!(
            "<dependency><groupId>org.apache.kafka</groupId><artifactId>{artifact}</artifactId><version>{KAFKA_VERSION}</version></dependency>"
        )
    };
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>local</groupId><artifactId>broker</artifactId><version>1</version><packaging>pom</packaging>\
         <dependencies>{}{}</dependencies></project>\n",
        dependency(&format!("kafka_{SCALA}")),
        dependency("kafka-tools"),
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
    version.chars().all(|c| c.is_ascii_digit() || c == '.').then(|| version.to_owned())
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
    use super::{Jars, core_version};

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
