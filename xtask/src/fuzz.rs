//! `cargo xtask fuzz`: random inputs against the laws of a crate, found by coverage.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::steps::Steps;
use crate::workspace;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Crate with a folder `fuzz`; each of them if there is none
    #[arg(value_name = "CRATE")]
    name: Option<String>,
    /// Target of the crate; each of them if there is none
    target: Option<String>,
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shell = workspace::shell()?;
    let root = workspace::root();
    let chosen = choose(&targets(&root)?, args.name.as_deref(), args.target.as_deref())?;
    check_tools(&shell)?;
    let results = workspace::absolute(&workspace::target_dir())?.join("fuzz");
    let seeds = results.join("seeds");
    write_seeds(&root.join("tests/vectors"), &seeds)?;
    let mut steps = Steps::default();
    let mut outcome = Ok(());
    for (name, target) in &chosen {
        let folder = root.join("crates").join(name);
        let _folder = shell.push_dir(&folder);
        // The versions that are shipped, not the newest ones.
        shell.copy_file(root.join("Cargo.lock"), folder.join("fuzz/Cargo.lock"))?;
        let corpus = shell.create_dir(format!("fuzz/corpus/{target}"))?;
        let seconds = format!("-max_total_time={}", args.seconds);
        // No sanitizer: what unsafe code we have counts and copies, and without one there are more inputs in a second.
        let build = cmd!(shell, "cargo +nightly fuzz run --sanitizer none --target-dir {results} {target}");
        let command = build.args([&corpus, &seeds, Path::new("tests/crashes")]).args([
            "--",
            &seconds,
            "-max_len=4096",
            "-timeout=10",
            "-print_final_stats=1",
        ]);
        let ran = steps.run(&format!("{name} {target}"), || Ok(command.run()?));
        outcome = outcome.and(ran);
    }
    steps.print();
    outcome.map(|()| ExitCode::SUCCESS)
}

fn check_tools(shell: &Shell) -> anyhow::Result<()> {
    let runs = |command: xshell::Cmd<'_>| command.quiet().ignore_stdout().ignore_stderr().run().is_ok();
    if !runs(cmd!(shell, "cargo +nightly --version")) {
        bail!("no nightly toolchain; install it: rustup toolchain install nightly --profile minimal");
    }
    if !runs(cmd!(shell, "cargo +nightly fuzz --version")) {
        bail!("no cargo-fuzz; install it: cargo install cargo-fuzz --locked");
    }
    Ok(())
}

/// Crate and name of every target, sorted.
fn targets(root: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for name in names(&root.join("crates"))? {
        let folder = root.join("crates").join(&name).join("fuzz/fuzz_targets");
        if folder.is_dir() {
            let targets = names(&folder)?;
            found.extend(
                targets
                    .iter()
                    .filter_map(|file| file.strip_suffix(".rs"))
                    .map(|target| (name.clone(), target.to_owned())),
            );
        }
    }
    Ok(found)
}

/// Sorted names of what is in a folder.
fn names(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn choose(
    targets: &[(String, String)],
    name: Option<&str>,
    target: Option<&str>,
) -> anyhow::Result<Vec<(String, String)>> {
    let is_chosen = |(of, it): &&(String, String)| {
        name.is_none_or(|name| name == of) && target.is_none_or(|target| target == it)
    };
    let chosen: Vec<_> = targets.iter().filter(is_chosen).cloned().collect();
    if chosen.is_empty() {
        let all: Vec<_> = targets.iter().map(|(name, target)| format!("  {name} {target}")).collect();
        bail!("there is no such target; these are:\n{}", all.join("\n"));
    }
    Ok(chosen)
}

/// What inputs are made of: each text of the vectors, and each message and definition, as a file.
fn write_seeds(vectors: &Path, seeds: &Path) -> anyhow::Result<()> {
    let mut texts = BTreeSet::new();
    for folder in [vectors.to_path_buf(), vectors.join("corpus")] {
        for name in names(&folder)? {
            let path = folder.join(name);
            if path.extension() == Some(OsStr::new("ndjson")) {
                let text =
                    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                for line in text.lines() {
                    let row = serde_json::from_str(line)
                        .with_context(|| format!("no json in {}", path.display()))?;
                    collect(&row, &mut texts);
                }
            }
        }
    }
    if seeds.exists() {
        fs::remove_dir_all(seeds).with_context(|| format!("cannot remove {}", seeds.display()))?;
    }
    fs::create_dir_all(seeds).with_context(|| format!("cannot create {}", seeds.display()))?;
    for (number, text) in texts.iter().enumerate() {
        let path = seeds.join(number.to_string());
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn collect(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(texts.insert(text.clone())),
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, texts)),
        Value::Object(members) => {
            if members.contains_key("topic") || members.contains_key("connectionType") {
                texts.insert(value.to_string());
            }
            members.values().for_each(|member| collect(member, texts));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{BTreeSet, choose, collect, targets};
    use crate::workspace;

    #[test]
    fn targets_are_found_and_chosen() {
        let all = targets(&workspace::root()).unwrap();
        let check = |name, target| choose(&all, name, target).map(|chosen| chosen.len()).ok();
        assert_eq!(check(None, None), Some(all.len()));
        assert_eq!(check(Some("ditto-protocol"), Some("decode")), Some(1));
        assert!(check(Some("ditto-json"), None) > Some(1));
        assert_eq!(check(Some("ditto-json"), Some("decode")), None);
    }

    #[test]
    fn seeds_are_texts_messages_and_definitions() {
        let row = serde_json::json!({"id": "x", "given": [{"topic": "a/b"}, {"n": 5}]});
        let mut texts = BTreeSet::new();
        collect(&row, &mut texts);
        assert!(texts.iter().eq(["a/b", "x", r#"{"topic":"a/b"}"#]));
    }
}
