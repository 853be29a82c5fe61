//! `cargo xtask dist`: the binary as it is handed out, with what must go with it.

mod archive;
mod bundled;
mod licences;
mod parts;
mod sbom;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use cargo_metadata::MetadataCommand;
use xshell::{Shell, cmd};

use self::archive::Entry;
use self::licences::StandardLibrary;
use self::tree::Tree;
use crate::console::{progress, result};
use crate::steps::Steps;
use crate::{git, workspace};

const BINARY: &str = "ditto-connectivity";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where it is built, with the archive in `dist` below it; cargo's target folder if there is none
    #[arg(long, value_name = "FOLDER")]
    target_dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut steps = Steps::default();
    let outcome = all(args, &mut steps);
    steps.print();
    let archive = outcome?;
    result(archive.display());
    Ok(ExitCode::SUCCESS)
}

fn all(args: &Args, steps: &mut Steps) -> anyhow::Result<PathBuf> {
    let (shell, root) = (workspace::shell()?, workspace::root());
    let folder = match &args.target_dir {
        Some(folder) => workspace::absolute(folder)?,
        None => workspace::absolute(&workspace::target_dir())?,
    };
    if !git::changes(&shell)?.is_empty() {
        progress("the tree has changes: the archive is not what the last commit says, but has its time");
    }
    let time = git::commit_time(&shell)?;
    let compiler = Compiler::ask(&shell)?;
    let binary = steps.run("build", || {
        cmd!(shell, "cargo build --release --locked --package {BINARY} --bin {BINARY} --target-dir {folder}")
            .run()?;
        Ok(folder.join("release").join(BINARY))
    })?;
    let version = version_of(&shell, &binary)?;
    let mut entries = steps.run("completions and man pages", || generated(&shell, &binary))?;
    steps.run("licences and bill of materials", || {
        let parts = parts_of(&shell, &root, &compiler.host)?;
        entries.push(Entry::text("sbom.cdx.json", sbom::write(&parts, &compiler.host, &time.text)));
        let text = licences::write(&parts, &compiler.standard_library)?;
        entries.push(Entry::text("THIRD-PARTY-LICENSES", text));
        Ok(())
    })?;
    steps.run("archive", || {
        for name in ["README.md", "LICENSE", "NOTICE"] {
            entries.push(Entry::text(name, shell.read_file(root.join(name))?));
        }
        entries.push(Entry { path: BINARY.to_owned(), bytes: stripped(&shell, &binary)?, executable: true });
        let name = format!("{BINARY}-{version}-{}", compiler.host);
        let bytes = archive::write(&name, entries, time.seconds)?;
        let name = format!("{name}.tar.gz");
        let path = folder.join("dist").join(&name);
        shell.write_file(path.with_file_name("SHA256SUMS"), archive::checksum(&name, &bytes))?;
        shell.write_file(&path, bytes)?;
        Ok(path)
    })
}

/// What builds.
#[derive(Debug)]
struct Compiler {
    /// The target triple, which is that of the machine.
    host: String,
    standard_library: StandardLibrary,
}

impl Compiler {
    fn ask(shell: &Shell) -> anyhow::Result<Self> {
        let text = cmd!(shell, "rustc --version --verbose").quiet().read()?;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.map(str::to_owned).with_context(|| format!("rustc does not say its `{key}`"))
        };
        let sysroot = cmd!(shell, "rustc --print sysroot").quiet().read()?;
        Ok(Self {
            host: value("host: ")?,
            standard_library: StandardLibrary { version: value("release: ")?, sysroot: sysroot.into() },
        })
    }
}

/// The binary's own word, which must be that of the manifest: else something else was built.
fn version_of(shell: &Shell, binary: &Path) -> anyhow::Result<String> {
    let said = cmd!(shell, "{binary} --version").quiet().read()?;
    // One version for all members.
    let version = env!("CARGO_PKG_VERSION");
    if said.split_whitespace().nth(1) != Some(version) {
        bail!("`{BINARY} --version` says `{said}`, and the workspace has {version}");
    }
    Ok(version.to_owned())
}

/// What the binary writes about its own command line.
fn generated(shell: &Shell, binary: &Path) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let files = [
        ("bash", format!("{BINARY}.bash")),
        ("zsh", format!("_{BINARY}")),
        ("fish", format!("{BINARY}.fish")),
    ];
    for (name, file) in files {
        let text = cmd!(shell, "{binary} completions {name}").quiet().read().with_context(|| {
            format!("`{BINARY} completions {name}` does not print a completion script; the archive needs it")
        })?;
        if text.is_empty() {
            bail!("`{BINARY} completions {name}` prints nothing; the archive needs its completion script");
        }
        entries.push(Entry::text(format!("completions/{file}"), text + "\n"));
    }
    let folder = shell.create_temp_dir()?;
    let pages = folder.path();
    cmd!(shell, "{binary} man --dir {pages}").quiet().run().with_context(|| {
        format!("`{BINARY} man --dir FOLDER` does not write man pages; the archive needs them")
    })?;
    for path in shell.read_dir(pages)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".1") {
            entries.push(Entry::text(format!("man/man1/{name}"), shell.read_file(&path)?));
        }
    }
    if !entries.iter().any(|it| it.path == format!("man/man1/{BINARY}.1")) {
        bail!("`{BINARY} man --dir FOLDER` wrote no {BINARY}.1; the archive needs it");
    }
    Ok(entries)
}

fn parts_of(shell: &Shell, root: &Path, target: &str) -> anyhow::Result<Vec<parts::Part>> {
    let format = "{p}";
    let tree = cmd!(
        shell,
        "cargo tree --locked --package {BINARY} --edges normal --target {target} --prefix depth --format {format}"
    );
    let tree = Tree::parse(&tree.quiet().read()?)?;
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .other_options(["--locked", "--filter-platform", target].map(str::to_owned))
        .exec()?;
    parts::collect(&tree, &metadata, &shell.read_file(root.join("Cargo.lock"))?)
}

/// The binary without symbols: the profile keeps line tables, for developers.
fn stripped(shell: &Shell, binary: &Path) -> anyhow::Result<Vec<u8>> {
    let folder = shell.create_temp_dir()?;
    let small = folder.path().join(BINARY);
    cmd!(shell, "strip -o {small} {binary}")
        .quiet()
        .run()
        .context("cannot strip the binary; `strip` comes with binutils")?;
    fs::read(&small).with_context(|| format!("cannot read {}", small.display()))
}
