//! What a reader may see by a row's policy, read slowly and without the code under test (policies.md §4 to §6): by the
//! specification's rules for leaves, and as the reference cuts.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

type Path = Vec<String>;

/// Members that a partial reader of a thing always gets.
const ALWAYS: [&str; 5] = ["thingId", "_namespace", "_revision", "_modified", "_created"];

/// One word of a policy about one subject.
#[derive(Debug)]
struct Word {
    subject: String,
    kind: String,
    path: Path,
    permission: String,
    is_grant: bool,
}

/// A row about a policy without imports, references and namespaces.
#[derive(Debug)]
pub(super) struct Readable<'r> {
    row: &'r Value,
    words: Vec<Word>,
    has_expired: bool,
}

impl<'r> Readable<'r> {
    /// `None` for other rows. Subjects that have expired are not there.
    pub(super) fn of(row: &'r Value) -> Option<Self> {
        let mut readable = Self { row, words: Vec::new(), has_expired: false };
        if row["policy"].get("imports").is_some() {
            return None;
        }
        for entry in row["policy"]["entries"].as_object()?.values() {
            if ["references", "namespaces"].iter().any(|name| entry.get(*name).is_some()) {
                return None;
            }
            for (subject, described) in entry["subjects"].as_object().into_iter().flatten() {
                let expiry = described["expiry"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
                if expiry.is_some_and(|expiry| expiry < Timestamp::now()) {
                    readable.has_expired = true;
                } else {
                    entry["resources"]
                        .as_object()
                        .into_iter()
                        .flatten()
                        .for_each(|it| readable.add(subject, it));
                }
            }
        }
        Some(readable)
    }

    fn add(&mut self, subject: &str, (key, permissions): (&String, &Value)) {
        let Some((kind, path)) = key.split_once(':') else { return };
        for (effect, is_grant) in [("grant", true), ("revoke", false)] {
            let names = permissions[effect].as_array().into_iter().flatten().filter_map(Value::as_str);
            self.words.extend(names.map(|permission| Word {
                subject: subject.to_owned(),
                kind: kind.to_owned(),
                path: segments(path),
                permission: permission.to_owned(),
                is_grant,
            }));
        }
    }

    /// Whether a subject's expiry is past.
    pub(super) fn has_expired(&self) -> bool {
        self.has_expired
    }

    /// Puts what a row of decisions should say.
    pub(super) fn decide(&self, expected: &mut Value) {
        let permissions = strings(&self.row["permissions"]);
        let key = self.row["resource"].as_str().unwrap_or_default();
        let (kind, path) = key.split_once(':').unwrap_or_default();
        let path = segments(path);
        let may = |subjects: &[&str], below: Below| {
            permissions
                .iter()
                .all(|permission| self.last(subjects, permission, kind, &path, below) == Some(true))
        };
        let each = |holds: &dyn Fn(&str) -> bool| -> Value {
            let mut subjects: Vec<_> =
                self.words.iter().map(|it| it.subject.as_str()).filter(|it| holds(it)).collect();
            subjects.sort_unstable();
            subjects.dedup();
            json!(subjects)
        };
        let effected = |permissions: &[&str], wanted| {
            each(&|subject| {
                permissions
                    .iter()
                    .all(|name| self.last(&[subject], name, kind, &path, Below::Nothing) == Some(wanted))
            })
        };
        let own = strings(&self.row["subjects"]);
        match self.row["kind"].as_str() {
            Some("check") => {
                for (name, below) in [("unrestricted", Below::Revokes), ("partial", Below::Grants)] {
                    expected[name] = may(&own, below).into();
                }
            }
            Some("subjects-with-permission") => {
                expected["granted"] = effected(&permissions, true);
                expected["revoked"] = effected(&permissions, false);
                expected["unrestricted"] = each(&|subject| may(&[subject], Below::Revokes));
                expected["partial"] = each(&|subject| may(&[subject], Below::Grants));
            }
            Some("message-read-subjects") => {
                let [read, revoked] = [true, false].map(|wanted| effected(&["READ"], wanted));
                let in_context = |list: &Value| strings(list).iter().any(|subject| own.contains(subject));
                expected["targetAuthorized"] = (in_context(&read) && !in_context(&revoked)).into();
                expected["readSubjects"] = read;
                expected["revokedSubjects"] = revoked;
            }
            Some("json-view") => {
                let seen = kept(&path, &self.row["thing"], &|leaf| self.reads(&own, leaf));
                expected["view"] = seen.unwrap_or(json!({}));
            }
            _ => {}
        }
    }

    /// Which word is the last one: that of the deepest place, a revoke before a grant. A grant that the same subject has
    /// revoked at the same place is none.
    fn last(&self, subjects: &[&str], permission: &str, kind: &str, at: &Path, below: Below) -> Option<bool> {
        let asked = |word: &&Word| {
            let counts = below == if word.is_grant { Below::Grants } else { Below::Revokes };
            subjects.contains(&word.subject.as_str())
                && (word.permission == permission && word.kind == kind)
                && (at.starts_with(&word.path) || counts && word.path.starts_with(at))
        };
        let is_revoked_itself = |word: &Word| {
            self.words.iter().any(|it| {
                !it.is_grant
                    && (&it.subject, &it.kind, &it.path, &it.permission)
                        == (&word.subject, &word.kind, &word.path, &word.permission)
            })
        };
        let words =
            self.words.iter().filter(asked).filter(|word| !(word.is_grant && is_revoked_itself(word)));
        words.max_by_key(|word| (word.path.len(), !word.is_grant)).map(|word| word.is_grant)
    }

    fn reads(&self, subjects: &[&str], at: &Path) -> bool {
        self.last(subjects, "READ", "thing", at, Below::Nothing) == Some(true)
    }

    /// The target's subjects that may read anything of the thing.
    fn readers(&self) -> Vec<&'r str> {
        let reads_part =
            |subject: &&str| self.last(&[*subject], "READ", "thing", &vec![], Below::Grants) == Some(true);
        strings(&self.row["targetSubjects"]).into_iter().filter(reads_part).collect()
    }

    fn path(&self) -> Path {
        segments(self.row["signal"]["path"].as_str().unwrap_or_default())
    }

    /// Whether one of the readers may see what stands there.
    fn is_seen(&self, at: &Path) -> bool {
        let is_always = matches!(at.as_slice(), [name, ..] if ALWAYS.contains(&name.as_str()));
        let readers = self.readers();
        is_always && !readers.is_empty() || readers.iter().any(|reader| self.reads(&[*reader], at))
    }

    /// Whether something strictly below is seen, or not, other than the place itself.
    fn differs_below(&self, at: &Path) -> bool {
        let is_seen = self.is_seen(at);
        let below = self.words.iter().filter(|word| word.kind == "thing" && word.path.starts_with(at));
        below.map(|word| self.is_seen(&word.path)).any(|below| below != is_seen)
    }

    /// The value of an event as readers should get it; the outer `None` if this is no event, or nobody reads it.
    pub(super) fn value(&self) -> Option<Option<Value>> {
        if self.readers().is_empty() || self.row["partialAccessEvents"] == false {
            return None;
        }
        let signal = self.row.get("signal")?;
        let path = self.path();
        let is_merge = signal["topic"].as_str()?.ends_with("/merged");
        let left = match signal.get("value") {
            None if self.is_seen(&path) && !self.differs_below(&path) => return Some(None),
            None => None,
            Some(patch) if is_merge => self.merged(&path, patch),
            Some(value) => kept(&path, value, &|leaf| self.is_seen(leaf)),
        };
        Some(Some(left.unwrap_or(json!({}))))
    }

    /// What is left of a merge patch: what takes the place of something seen in part says that this is gone.
    fn merged(&self, at: &Path, patch: &Value) -> Option<Value> {
        match patch.as_object().filter(|members| !members.is_empty()) {
            None if self.is_seen(at) => Some(patch.clone()),
            None => {
                self.differs_below(at).then_some(if patch.is_object() { return None } else { Value::Null })
            }
            Some(members) => {
                let left: Map<_, _> = members
                    .iter()
                    .filter_map(|(name, patch)| Some((name.clone(), self.merged(&below(at, name), patch)?)))
                    .collect();
                (!left.is_empty()).then_some(Value::Object(left))
            }
        }
    }

    /// `extra` as readers should get it.
    pub(super) fn extra(&self) -> Option<Value> {
        let extra = self.row.get("extra")?;
        (!self.readers().is_empty())
            .then(|| kept(&vec![], extra, &|leaf| self.is_seen(leaf)).unwrap_or(json!({})))
    }

    /// Value and `extra` as the reference gives them to the readers.
    pub(super) fn of_reference(&self) -> (Option<Value>, Option<Value>) {
        let (value, extra) = (self.row["signal"].get("value"), self.row.get("extra"));
        let mut granted = Vec::new();
        for reader in self.readers() {
            let is_full = self.last(&[reader], "READ", "thing", &vec![], Below::Revokes) == Some(true);
            let paths = self.whole_places(reader);
            if is_full || paths.is_empty() {
                return (value.cloned(), extra.cloned());
            }
            granted.extend(paths);
        }
        // It holds absolute paths against members of the value.
        let is_kept = |leaf: &Path| {
            granted.iter().any(|path| leaf.starts_with(path))
                || matches!(leaf.as_slice(), [name, ..] if ALWAYS.contains(&name.as_str()))
        };
        let path = self.path();
        let (left, is_emptied) = match value {
            Some(Value::Object(_)) => {
                (value.map(|it| kept(&vec![], it, &is_kept).unwrap_or(json!({}))), false)
            }
            other if granted.iter().any(|it| path.starts_with(it)) => (other.cloned(), false),
            _ => (Some(json!({})), true),
        };
        let extra = extra.map(|extra| match kept(&vec![], extra, &is_kept) {
            Some(left) if !is_emptied => left,
            _ => extra.clone(),
        });
        (left, extra)
    }

    /// The highest places of the thing of which a subject may read every leaf.
    fn whole_places(&self, subject: &str) -> Vec<Path> {
        let mut places = Vec::new();
        self.collect_whole(subject, &vec![], &self.row["thing"], &mut places);
        places
    }

    fn collect_whole(&self, subject: &str, at: &Path, value: &Value, places: &mut Vec<Path>) {
        let mut all = Vec::new();
        leaves(at, value, &mut all);
        if all.iter().all(|(leaf, _)| self.reads(&[subject], leaf)) {
            places.push(at.clone());
        } else {
            for (name, value) in value.as_object().into_iter().flatten() {
                self.collect_whole(subject, &below(at, name), value, places);
            }
        }
    }
}

/// Which words below a place count, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Below {
    Nothing,
    Grants,
    Revokes,
}

fn segments(path: &str) -> Path {
    path.split('/').filter(|it| !it.is_empty()).map(|it| it.replace("~0", "~")).collect()
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn below(at: &Path, name: &str) -> Path {
    at.iter().cloned().chain([name.to_owned()]).collect()
}

/// Scalars, arrays and empty objects with their places.
fn leaves<'v>(at: &Path, value: &'v Value, all: &mut Vec<(Path, &'v Value)>) {
    match value.as_object().filter(|members| !members.is_empty()) {
        None => all.push((at.clone(), value)),
        Some(members) => members.iter().for_each(|(name, value)| leaves(&below(at, name), value, all)),
    }
}

/// What stands at `base` with some of its leaves only; parents without any vanish.
fn kept(base: &Path, value: &Value, keeps: &dyn Fn(&Path) -> bool) -> Option<Value> {
    match value.as_object().filter(|members| !members.is_empty()) {
        None => keeps(base).then(|| value.clone()),
        Some(members) => {
            let left: Map<_, _> = members
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), kept(&below(base, name), value, keeps)?)))
                .collect();
            (!left.is_empty()).then_some(Value::Object(left))
        }
    }
}
