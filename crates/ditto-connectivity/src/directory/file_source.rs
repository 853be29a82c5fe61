//! Things and policies in a folder: `things/<id>.json` and `policies/<id>.json`.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::source::{Finding, Key, Kind, LookUp, Outage, Source};

/// Reads a file each time that it is asked for what is in it.
#[derive(Debug)]
pub(super) struct FileSource {
    folder: PathBuf,
}

/// A longer file is none of a thing or policy.
const MAX_BYTES: u64 = 4 << 20;

impl FileSource {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    async fn read(&self, key: &Key) -> Finding<String> {
        let kind = if key.kind == Kind::Policy { "policies" } else { "things" };
        // No id of Ditto has these: they would lead out of the folder.
        if key.id.contains(['/', '\\', '\0']) {
            return Finding::Absent;
        }
        let folder = self.folder.join(kind);
        let path = folder.join(format!("{}.json", key.id));
        let failed = |error| {
            Finding::Unavailable(Outage::of_entry(format!("`{}` cannot be read: {error}", path.display())))
        };
        let metadata = match tokio::fs::metadata(&path).await {
            Ok(metadata) => metadata,
            // A folder that is not there, such as one that is not mounted, says nothing of what is in it.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return match tokio::fs::read_dir(&folder).await {
                    Ok(_) => Finding::Absent,
                    Err(error) => Finding::Unavailable(Outage::of_source(format!(
                        "folder `{}` cannot be read: {error}",
                        folder.display()
                    ))),
                };
            }
            Err(error) => return failed(error),
        };
        if metadata.len() > MAX_BYTES {
            tracing::warn!(path = %path.display(), "file is longer than 4 MiB: it does not count");
            return Finding::Absent;
        }
        match tokio::fs::read(&path).await.map(String::from_utf8) {
            // Somebody writes it just now, or it is none.
            Ok(Ok(text)) if serde_json::from_str::<&serde_json::value::RawValue>(&text).is_err() => {
                Finding::Unavailable(Outage::of_entry(format!("`{}` is no JSON", path.display())))
            }
            Ok(Ok(value)) => Finding::Found { value, validator: None },
            Ok(Err(_)) => {
                Finding::Unavailable(Outage::of_entry(format!("`{}` is not UTF-8", path.display())))
            }
            Err(error) => failed(error),
        }
    }
}

impl Source for FileSource {
    fn look_up<'s>(&'s self, key: &'s Key, _: Option<&'s str>) -> LookUp<'s> {
        Box::pin(self.read(key))
    }

    fn sees_everything(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
