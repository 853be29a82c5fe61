//! What git knows about the tree.

use anyhow::Context;
use cargo_metadata::semver::Version;
use xshell::{Shell, cmd};

/// What differs from the last commit, as `git status --porcelain` says it; empty if nothing does.
pub(crate) fn changes(shell: &Shell) -> anyhow::Result<String> {
    Ok(cmd!(shell, "git status --porcelain").quiet().read()?)
}

/// The finding that there are changes, if there are.
pub(crate) fn dirty(shell: &Shell) -> anyhow::Result<Option<String>> {
    let changes = changes(shell)?;
    Ok((!changes.is_empty())
        .then(|| format!("the tree has changes; commit them or put them away (`git stash -u`):\n{changes}")))
}

/// The branch; none where HEAD is detached.
pub(crate) fn branch(shell: &Shell) -> anyhow::Result<Option<String>> {
    let output = cmd!(shell, "git symbolic-ref --quiet --short HEAD").quiet().ignore_status().read()?;
    Ok((!output.is_empty()).then_some(output))
}

/// The commit that a revision means, if there is one of that name.
pub(crate) fn commit(shell: &Shell, revision: &str) -> anyhow::Result<Option<String>> {
    let revision = format!("{revision}^{{commit}}");
    let output = cmd!(shell, "git rev-parse --quiet --verify {revision}").quiet().ignore_status().read()?;
    Ok((!output.is_empty()).then_some(output))
}

/// Whether a revision has a file.
pub(crate) fn has_file(shell: &Shell, revision: &str, path: &str) -> bool {
    let object = format!("{revision}:{path}");
    cmd!(shell, "git cat-file -e {object}").quiet().ignore_stderr().run().is_ok()
}

/// The tag of a version.
pub(crate) fn tag_of(version: &Version) -> String {
    format!("v{version}")
}

/// The versions that have a tag, ascending. Tags that only look alike (`vendor`) are passed over.
pub(crate) fn tagged_versions(shell: &Shell) -> anyhow::Result<Vec<Version>> {
    let tags = cmd!(shell, "git tag --list v*").quiet().read()?;
    let mut versions: Vec<Version> =
        tags.lines().filter_map(|tag| tag.strip_prefix('v')?.parse().ok()).collect();
    versions.sort();
    Ok(versions)
}

/// When the last commit was made.
#[derive(Debug)]
pub(crate) struct CommitTime {
    /// Seconds since 1970.
    pub(crate) seconds: u64,
    /// The same in UTC, as `2026-11-25T04:55:00Z`.
    pub(crate) text: String,
}

pub(crate) fn commit_time(shell: &Shell) -> anyhow::Result<CommitTime> {
    let format = "--format=%ct %cd";
    let date = "--date=format-local:%Y-%m-%dT%H:%M:%SZ";
    let line = cmd!(shell, "git log -1 {format} {date}").env("TZ", "UTC").quiet().read()?;
    let (seconds, text) = line.split_once(' ').context("git log says no time of the last commit")?;
    let seconds = seconds.parse().context("git log says no time of the last commit")?;
    Ok(CommitTime { seconds, text: text.to_owned() })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use xshell::{Shell, TempDir, cmd};

    use super::{branch, changes, commit, commit_time, dirty, has_file, tagged_versions};

    /// A repository of its own with one commit on `main`, and a shell in it.
    pub(crate) fn repository(files: &[(&str, &str)]) -> (TempDir, Shell) {
        let shell = Shell::new().unwrap();
        let folder = shell.create_temp_dir().unwrap();
        shell.change_dir(folder.path());
        for (name, text) in files {
            shell.write_file(Path::new(name), text).unwrap();
        }
        for name in ["AUTHOR", "COMMITTER"] {
            shell.set_var(format!("GIT_{name}_NAME"), "tests");
            shell.set_var(format!("GIT_{name}_EMAIL"), "tests@example.org");
            shell.set_var(format!("GIT_{name}_DATE"), "1700000000 +0900");
        }
        cmd!(shell, "git init --quiet --initial-branch main").quiet().run().unwrap();
        cmd!(shell, "git add .").quiet().run().unwrap();
        cmd!(shell, "git commit --quiet --allow-empty -m first").quiet().run().unwrap();
        (folder, shell)
    }

    #[test]
    fn changes_are_seen() {
        let (_folder, shell) = repository(&[("a", "1")]);
        assert_eq!(changes(&shell).unwrap(), "");
        assert_eq!(dirty(&shell).unwrap(), None);
        shell.write_file("b", "2").unwrap();
        assert_eq!(changes(&shell).unwrap(), "?? b");
        assert!(dirty(&shell).unwrap().unwrap().ends_with("\n?? b"));
    }

    #[test]
    fn a_detached_head_is_no_branch() {
        let (_folder, shell) = repository(&[]);
        assert_eq!(branch(&shell).unwrap().as_deref(), Some("main"));
        cmd!(shell, "git checkout --quiet --detach").quiet().run().unwrap();
        assert_eq!(branch(&shell).unwrap(), None);
    }

    #[test]
    fn tags_of_versions_are_found_in_their_order() {
        let (_folder, shell) = repository(&[("a", "1")]);
        for tag in ["v0.10.0", "v0.9.1", "vendor", "v1.0.0-rc.1"] {
            cmd!(shell, "git tag {tag}").quiet().run().unwrap();
        }
        let found: Vec<_> = tagged_versions(&shell).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["0.9.1", "0.10.0", "1.0.0-rc.1"]);
        assert_eq!(commit(&shell, "v0.9.1").unwrap(), commit(&shell, "HEAD").unwrap());
        assert_eq!(commit(&shell, "v3.0.0").unwrap(), None);
        assert!(has_file(&shell, "v0.9.1", "a") && !has_file(&shell, "v0.9.1", "b"));
    }

    #[test]
    fn times_are_in_utc() {
        let (_folder, shell) = repository(&[]);
        let time = commit_time(&shell).unwrap();
        assert_eq!((time.seconds, time.text.as_str()), (1_700_000_000, "2023-11-14T22:13:20Z"));
    }
}
