//! The things of the corpus, as the events of the feed tell of them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use ditto_json::{JsonPointer, merge_patch};
use serde_json::Value;

use super::lines;

/// Things by their ids, as far as events tell.
#[derive(Debug)]
pub struct Things {
    things: HashMap<String, Thing>,
    /// Events that the feed does not have, by thing and revision.
    unseen: HashMap<String, BTreeMap<i64, Value>>,
}

/// A thing.
#[derive(Debug, Clone, Default)]
pub struct Thing {
    /// Its revision.
    pub revision: i64,
    /// Its content; after it was deleted, the last one.
    pub state: Value,
    /// Whether it is there.
    pub exists: bool,
    /// The policy that decides about its signals.
    pub policy: String,
}

impl Things {
    /// Nothing is known yet but the events that the feed does not have.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub fn load(folder: &Path) -> Result<Self> {
        let mut unseen: HashMap<String, BTreeMap<i64, Value>> = HashMap::new();
        for event in lines::<Value>(&folder.join("unseen.ndjson"))? {
            let (thing, revision) = (thing_of(&event)?, revision_of(&event)?);
            unseen.entry(thing).or_default().insert(revision, event);
        }
        Ok(Self { things: HashMap::new(), unseen })
    }

    /// Takes a signal of the feed, and answers with its thing as it was then. An event that gives the thing another policy is
    /// decided by the one that let it happen, and a deletion by the last one.
    ///
    /// # Errors
    /// It is about a thing of which nothing is known, or an event between is missing.
    pub fn take(&mut self, signal: &Value) -> Result<Thing> {
        let id = thing_of(signal)?;
        let topic = signal["topic"].as_str().unwrap_or_default();
        let thing = self.things.entry(id.clone()).or_default();
        if !topic.contains("/twin/events/") {
            anyhow::ensure!(thing.exists, "{topic}: there is no such thing");
            return Ok(thing.clone());
        }
        let revision = revision_of(signal)?;
        let between = self.unseen.entry(id).or_default().extract_if(..revision, |_, _| true);
        between.map(|(_, event)| event).try_for_each(|event| thing.apply(&event))?;
        let before = thing.clone();
        thing.apply(signal)?;
        let policy = if before.exists { before.policy } else { thing.policy.clone() };
        Ok(Thing { policy, ..thing.clone() })
    }
}

impl Thing {
    fn apply(&mut self, event: &Value) -> Result<()> {
        let (topic, revision) = (event["topic"].as_str().unwrap_or_default(), revision_of(event)?);
        anyhow::ensure!(
            revision == self.revision + 1,
            "{topic}: revision {revision} after {}",
            self.revision
        );
        self.revision = revision;
        let path: JsonPointer = event["path"].as_str().context("no path")?.parse()?;
        let value = event.get("value").cloned().unwrap_or_default();
        match topic.rsplit('/').next().unwrap_or_default() {
            "deleted" if path.is_root() => {
                self.exists = false;
                return Ok(());
            }
            "deleted" => remove(&mut self.state, &path),
            "merged" => merge(&mut self.state, &path, value)?,
            // An empty definition is none.
            _ if path.segments() == ["definition"] && value == "" => path.set(&mut self.state, Value::Null),
            _ => path.set(&mut self.state, value),
        }
        self.exists = true;
        if let Some(policy) = self.state["policyId"].as_str() {
            self.policy = policy.to_owned();
        }
        Ok(())
    }
}

fn thing_of(signal: &Value) -> Result<String> {
    let mut parts = signal["topic"].as_str().context("no topic")?.split('/');
    Ok(format!("{}:{}", parts.next().context("no namespace")?, parts.next().context("no name")?))
}

fn revision_of(event: &Value) -> Result<i64> {
    event["revision"].as_i64().context("no revision")
}

fn merge(state: &mut Value, path: &JsonPointer, value: Value) -> Result<()> {
    let at_root = |patch, name: &String| Value::Object([(name.clone(), patch)].into_iter().collect());
    Ok(merge_patch(state, &path.segments().iter().rev().fold(value, at_root))?)
}

fn remove(state: &mut Value, path: &JsonPointer) {
    let Some((last, above)) = path.segments().split_last() else { return };
    let above = above.iter().try_fold(state, |at, name| at.as_object_mut()?.get_mut(name));
    if let Some(members) = above.and_then(Value::as_object_mut) {
        members.shift_remove(last);
    }
}
