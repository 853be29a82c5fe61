//! C libraries that crates bring as source and build into the binary.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

/// A library, and the crate that has its source.
#[derive(Debug)]
pub(crate) struct Bundled {
    /// The crate of the tree that links it.
    pub(crate) linked_by: &'static str,
    pub(crate) name: &'static str,
    /// The crate with the source, which need not be the same.
    pub(crate) source: &'static str,
    version: VersionIn,
    pub(crate) licence: &'static str,
    /// Files with licence texts, in the crate with the source.
    pub(crate) texts: &'static [&'static str],
    /// A package URL without its version.
    pub(crate) purl: &'static str,
    /// Vendor and product, as vulnerability data bases name them; none where no such name is settled.
    pub(crate) cpe: Option<&'static str>,
}

/// Where the version of a library is.
#[derive(Debug)]
enum VersionIn {
    /// Behind `+` in the version of the crate with the source, and behind this.
    Build(&'static str),
    /// In a file of that crate, between these and a quotation mark.
    File(&'static str, &'static str),
    /// In a file of that crate, as three numbers behind this and MAJOR, MINOR and PATCH.
    Numbers(&'static str, &'static str),
}

/// Each crate of the binary's tree that links a library has a line.
pub(crate) const TABLE: &[Bundled] = &[
    Bundled {
        linked_by: "rdkafka-sys",
        name: "librdkafka",
        source: "rdkafka-sys",
        version: VersionIn::Build(""),
        licence: "BSD-2-Clause",
        texts: &["librdkafka/LICENSE", "librdkafka/LICENSES.txt"],
        purl: "pkg:github/confluentinc/librdkafka@v",
        cpe: None,
    },
    Bundled {
        linked_by: "openssl-sys",
        name: "openssl",
        source: "openssl-src",
        version: VersionIn::Build(""),
        licence: "Apache-2.0",
        texts: &["openssl/LICENSE.txt"],
        purl: "pkg:generic/openssl@",
        cpe: Some("openssl:openssl"),
    },
    Bundled {
        linked_by: "libz-sys",
        name: "zlib",
        source: "libz-sys",
        version: VersionIn::File("src/zlib/zlib.h", "#define ZLIB_VERSION \""),
        licence: "Zlib",
        texts: &["src/zlib/LICENSE"],
        purl: "pkg:generic/zlib@",
        cpe: Some("zlib:zlib"),
    },
    Bundled {
        linked_by: "zstd-sys",
        name: "zstd",
        source: "zstd-sys",
        version: VersionIn::Build("zstd."),
        licence: "BSD-3-Clause",
        texts: &["zstd/LICENSE"],
        purl: "pkg:generic/zstd@",
        cpe: Some("facebook:zstandard"),
    },
    Bundled {
        linked_by: "aws-lc-sys",
        name: "aws-lc",
        source: "aws-lc-sys",
        version: VersionIn::File("aws-lc/include/openssl/base.h", "#define AWSLC_VERSION_NUMBER_STRING \""),
        licence: "ISC AND Apache-2.0 AND BSD-3-Clause AND MIT",
        texts: &["aws-lc/LICENSE"],
        purl: "pkg:github/aws/aws-lc@v",
        cpe: None,
    },
    Bundled {
        linked_by: "rquickjs-sys",
        name: "quickjs-ng",
        source: "rquickjs-sys",
        version: VersionIn::Numbers("quickjs/quickjs.h", "#define QJS_VERSION_"),
        licence: "MIT",
        texts: &["quickjs/LICENSE"],
        purl: "pkg:github/quickjs-ng/quickjs@v",
        cpe: Some("quickjs-ng:quickjs"),
    },
];

/// Crates of the tree with `links` for what builds tell each other, and without a library.
pub(crate) const WITHOUT_LIBRARY: &[&str] = &["aws-lc-rs"];

impl Bundled {
    /// The version of the library, from the version and the folder of the crate with the source.
    pub(crate) fn version(&self, of_crate: &str, folder: &Path) -> anyhow::Result<String> {
        let found = match self.version {
            VersionIn::Build(before) => of_crate
                .split_once('+')
                .and_then(|(_, build)| build.strip_prefix(before))
                .with_context(|| format!("version {of_crate} of {} says none of {}", self.source, self.name)),
            VersionIn::File(file, before) => {
                return self.in_file(&folder.join(file), |text| between(text, before).map(str::to_owned));
            }
            VersionIn::Numbers(file, before) => {
                return self.in_file(&folder.join(file), |text| numbers(text, before));
            }
        };
        let found = found?;
        if !found.starts_with(|it: char| it.is_ascii_digit()) {
            bail!("version {of_crate} of {} says none of {}", self.source, self.name);
        }
        Ok(found.to_owned())
    }

    fn in_file(&self, path: &Path, find: impl Fn(&str) -> Option<String>) -> anyhow::Result<String> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        find(&text).with_context(|| format!("{} says no version of {}", path.display(), self.name))
    }
}

fn numbers(text: &str, before: &str) -> Option<String> {
    let number = |name: &str| {
        let rest = text.split_once(&format!("{before}{name} "))?.1;
        rest.lines().next()?.trim().parse::<u32>().ok().map(|number| number.to_string())
    };
    Some([number("MAJOR")?, number("MINOR")?, number("PATCH")?].join("."))
}

fn between<'text>(text: &'text str, before: &str) -> Option<&'text str> {
    Some(text.split_once(before)?.1.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{TABLE, between, numbers};

    #[test]
    fn versions_are_cut_from_those_of_the_crates() {
        let check = |name: &str, of_crate: &str| {
            let library = TABLE.iter().find(|it| it.name == name).unwrap();
            library.version(of_crate, Path::new("none")).ok()
        };
        assert_eq!(check("librdkafka", "4.10.0+2.12.1").as_deref(), Some("2.12.1"));
        assert_eq!(check("openssl", "300.6.1+3.6.3").as_deref(), Some("3.6.3"));
        assert_eq!(check("zstd", "2.1.3+zstd.1.5.7").as_deref(), Some("1.5.7"));
        assert_eq!(check("zstd", "2.1.3+1.5.7"), None);
        assert_eq!(check("openssl", "300.6.1"), None);
        assert_eq!(check("openssl", "300.6.1+zstd.1"), None);
        assert_eq!(check("zlib", "1.1.31"), None);
        let defines = "#define V_MAJOR 0\n#define V_MINOR 16\n#define V_PATCH 2\n";
        assert_eq!(numbers(defines, "#define V_").as_deref(), Some("0.16.2"));
        assert_eq!(numbers("#define V_MAJOR 0", "#define V_"), None);
        assert_eq!(between("#define V \"1.3.2\"\n", "#define V \""), Some("1.3.2"));
    }
}
