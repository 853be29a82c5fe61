//! `THIRD-PARTY-LICENSES`: what is in the binary, under which licences, and their texts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::parts::{Origin, Part};

/// How files with a licence or a notice begin, in capitals.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE", "COPYRIGHT"];
/// Packages without a text that are made from the same repository as another one, whose text is theirs.
const TEXT_OF: [(&str, &str); 1] = [("rdkafka-sys", "rdkafka")];

/// The whole file. A text that several parts share stands there once.
pub(crate) fn write(parts: &[Part], standard_library: &StandardLibrary) -> anyhow::Result<String> {
    let mut of_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut list = String::new();
    let mut add = |name: String, licence: &str, texts: Vec<String>| {
        list.push_str(&format!("{name}: {licence}\n"));
        for text in texts {
            of_text.entry(text).or_default().push(name.clone());
        }
    };
    for part in parts.iter().filter(|it| it.origin != Origin::Workspace) {
        let name = format!("{} {}", part.name, part.version);
        let texts = texts(part, parts).with_context(|| format!("no licence text of {name}"))?;
        add(name, &part.licence, texts);
    }
    add(standard_library.name(), StandardLibrary::LICENCE, read_all(&standard_library.texts())?);
    let mut whole = format!(
        "Software that ditto-connectivity contains or was built with\n\n{list}\nWhere there is a choice (OR), each text that the \
         package has is below.\n"
    );
    let mut blocks: Vec<_> = of_text.into_iter().map(|(text, names)| (names, text)).collect();
    blocks.sort();
    for (names, text) in blocks {
        let line = "=".repeat(80);
        whole.push_str(&format!("\n{line}\n{}\n{line}\n\n{text}\n", names.join("\n")));
    }
    Ok(whole)
}

/// The library that every program of the compiler contains.
#[derive(Debug)]
pub(crate) struct StandardLibrary {
    /// Of the compiler.
    pub(crate) version: String,
    /// Where the toolchain is.
    pub(crate) sysroot: PathBuf,
}

impl StandardLibrary {
    /// The library itself, parts of LLVM's run-time library, and tables of Unicode.
    const LICENCE: &str = "(MIT OR Apache-2.0) AND Apache-2.0 WITH LLVM-exception AND Unicode-3.0";
    const TEXTS: [&str; 4] = ["MIT.txt", "Apache-2.0.txt", "LLVM-exception.txt", "Unicode-3.0.txt"];

    fn name(&self) -> String {
        format!("the Rust standard library {}", self.version)
    }

    fn texts(&self) -> Vec<PathBuf> {
        Self::TEXTS.map(|it| self.sysroot.join("share/doc/rust/licenses").join(it)).into()
    }
}

fn texts(part: &Part, parts: &[Part]) -> anyhow::Result<Vec<String>> {
    match &part.origin {
        Origin::Workspace => Ok(Vec::new()),
        Origin::Files(files) => read_all(files),
        Origin::Package(folder) => {
            let files = files(folder)?;
            if !files.is_empty() {
                return read_all(&files);
            }
            let other = TEXT_OF.iter().find(|(name, _)| *name == part.name);
            let Some(other) = other.and_then(|(_, other)| parts.iter().find(|it| it.name == *other)) else {
                bail!("its package has none; say where its text is in dist/licences.rs");
            };
            texts(other, parts)
        }
    }
}

/// The files of a package that are licences or notices, sorted.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if entry.file_type()?.is_file() && NAMES.iter().any(|it| name.starts_with(it)) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The texts without the differences that only an editor makes.
fn read_all(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let read = |path: &PathBuf| {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        Ok(lines.join("\n").trim_matches('\n').to_owned())
    };
    files.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use xshell::Shell;

    use super::{Origin, Part, StandardLibrary, write};

    fn part(name: &str, origin: Origin) -> Part {
        Part {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: "MIT".to_owned(),
            purl: format!("pkg:cargo/{name}@1.0.0"),
            cpe: None,
            checksum: None,
            linked: true,
            needs: Vec::new(),
            origin,
        }
    }

    fn standard_library(shell: &Shell, sysroot: &Path) -> StandardLibrary {
        for name in StandardLibrary::TEXTS {
            shell.write_file(sysroot.join("share/doc/rust/licenses").join(name), name).unwrap();
        }
        StandardLibrary { version: "1.95.0".to_owned(), sysroot: sysroot.to_path_buf() }
    }

    #[test]
    fn shared_texts_stand_there_once() {
        let shell = Shell::new().unwrap();
        let folder = shell.create_temp_dir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            shell.write_file(&path, text).unwrap();
            path
        };
        let _ = (file("b/LICENSE-MIT", "the text  \r\nof MIT\n\n"), file("b/licence.md", "more"));
        let _ = file("b/src/LICENSE", "not in the root");
        let parts = [
            part("ours", Origin::Workspace),
            part("b", Origin::Package(folder.path().join("b"))),
            part("c", Origin::Files(vec![file("c.txt", "the text\nof MIT")])),
        ];
        let text = write(&parts, &standard_library(&shell, folder.path())).unwrap();
        assert_eq!(text.matches("the text\nof MIT").count(), 1);
        assert!(text.contains("\nb 1.0.0\nc 1.0.0\n"), "{text}");
        assert!(text.contains("\nmore\n") && !text.contains("not in the root") && !text.contains("ours"));
        assert!(text.contains("the Rust standard library 1.95.0: (MIT OR Apache-2.0)"));
    }

    #[test]
    fn a_part_without_a_text_is_an_error_unless_another_has_it() {
        let shell = Shell::new().unwrap();
        let folder = shell.create_temp_dir().unwrap();
        let empty = |name: &str| {
            let path: PathBuf = folder.path().join(name);
            shell.create_dir(&path).unwrap();
            part(name, Origin::Package(path))
        };
        let library = standard_library(&shell, folder.path());
        let error = write(&[empty("d")], &library).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "no licence text of d 1.0.0: its package has none; say where its text is in dist/licences.rs"
        );
        let (without, with) = (empty("rdkafka-sys"), empty("rdkafka"));
        shell.write_file(folder.path().join("rdkafka/LICENSE"), "of both").unwrap();
        let text = write(&[without, with], &library).unwrap();
        assert!(text.contains("\nrdkafka-sys 1.0.0\nrdkafka 1.0.0\n"), "{text}");
    }
}
