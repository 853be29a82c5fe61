//! A process that is killed while it changes connections.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use ditto_connectivity::{ConnectionStore, EmbeddedStore, StoreKey, StoreKeys};

/// Id to name and status.
type Kept = BTreeMap<String, String>;

const KILLS: u64 = 20;

#[test]
fn the_store_has_what_was_answered_whenever_the_process_is_killed() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    let key = StoreKey::from_base64(&"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned().into())?;
    let (mut kept, mut answered, mut unanswered) = (Kept::new(), 0, 0);
    for seed in 0..KILLS {
        let mut keeper = Command::new(env!("CARGO_BIN_EXE_keeper"))
            .args([path.as_os_str(), seed.to_string().as_ref()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(keeper.stdout.take().context("no output")?);
        // It has begun; when it dies then is left to chance.
        let mut text = String::new();
        said.read_line(&mut text)?;
        std::thread::sleep(Duration::from_micros(seed * 7_919 % 60_000));
        keeper.kill()?;
        keeper.wait()?;
        said.read_to_string(&mut text)?;

        let mut begun = None;
        for line in text.lines() {
            match line.split_once(' ') {
                Some((_, change)) => begun = Some(change),
                None => {
                    ensure!(line == "done", "{line}");
                    apply(&mut kept, begun.take().context("answered before it began")?);
                    answered += 1;
                }
            }
        }
        let store = EmbeddedStore::open(&path, StoreKeys::new(key.clone()))?;
        let loaded = store.load()?;
        ensure!(loaded.unreadable.is_empty(), "{:?}", loaded.unreadable);
        let found: Kept = loaded
            .records
            .iter()
            .map(|it| {
                let (name, status) = (it.connection.name().unwrap_or_default(), it.connection.status());
                (it.connection.id().to_string(), format!("{name} {}", status.as_str()))
            })
            .collect();
        if found != kept {
            // The last change may be there without having been answered: whole.
            apply(&mut kept, begun.context("something was changed that had not begun")?);
            unanswered += 1;
        }
        assert_eq!(found, kept, "kill {seed}");
    }
    println!("{KILLS} kills, {answered} changes answered, {unanswered} kept and not answered");
    ensure!(answered > KILLS, "nothing has happened between the kills");
    Ok(())
}

fn apply(kept: &mut Kept, change: &str) {
    let (id, what) = change.split_once(' ').unwrap();
    match what {
        "-" => drop(kept.remove(id)),
        what => drop(kept.insert(id.to_owned(), what.to_owned())),
    }
}
