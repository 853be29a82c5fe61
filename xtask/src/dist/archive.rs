//! Archives that are the same, byte for byte, whenever what goes in is.

use std::io::Write;

use anyhow::Context;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) executable: bool,
}

impl Entry {
    pub(crate) fn text(path: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), bytes: text.into(), executable: false }
    }
}

/// A `.tar.gz` of the entries below one folder: sorted, all of one time (seconds since 1970), of one owner.
pub(crate) fn write(folder: &str, mut entries: Vec<Entry>, time: u64) -> anyhow::Result<Vec<u8>> {
    entries.sort();
    // Neither a name nor the system stands in the header of the compression.
    let compressed = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    let mut archive = Builder::new(compressed);
    for entry in &entries {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(entry.bytes.len().try_into()?);
        header.set_mode(if entry.executable { 0o755 } else { 0o644 });
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        archive
            .append_data(&mut header, format!("{folder}/{}", entry.path), entry.bytes.as_slice())
            .with_context(|| format!("cannot pack {}", entry.path))?;
    }
    let mut compressed = archive.into_inner()?;
    compressed.flush()?;
    Ok(compressed.finish()?)
}

/// A line as `sha256sum --check` reads it.
pub(crate) fn checksum(name: &str, bytes: &[u8]) -> String {
    let hexadecimal: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hexadecimal}  {name}\n")
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;
    use tar::Archive;

    use super::{Entry, checksum, write};

    fn entries() -> Vec<Entry> {
        let program = Entry { path: "program".to_owned(), bytes: vec![0, 1, 2], executable: true };
        vec![program, Entry::text("man/program.1", ".TH"), Entry::text("LICENSE", "text\n")]
    }

    #[test]
    fn the_same_entries_give_the_same_bytes() {
        let mut reversed = entries();
        reversed.reverse();
        let bytes = write("a-1.0.0", entries(), 1_700_000_000).unwrap();
        assert_eq!(bytes, write("a-1.0.0", reversed, 1_700_000_000).unwrap());
        assert_ne!(bytes, write("a-1.0.0", entries(), 1_700_000_001).unwrap());
    }

    #[test]
    fn entries_are_sorted_and_belong_to_nobody() {
        let bytes = write("a-1.0.0", entries(), 1_700_000_000).unwrap();
        let mut archive = Archive::new(GzDecoder::new(bytes.as_slice()));
        let found: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
                assert_eq!(header.mtime().unwrap(), 1_700_000_000);
                format!(
                    "{:o} {} {}",
                    header.mode().unwrap(),
                    header.size().unwrap(),
                    entry.path().unwrap().display()
                )
            })
            .collect();
        assert_eq!(found, ["644 5 a-1.0.0/LICENSE", "644 3 a-1.0.0/man/program.1", "755 3 a-1.0.0/program"]);
    }

    #[test]
    fn checksums_are_those_of_sha256sum() {
        assert_eq!(
            checksum("a", b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n"
        );
    }
}
