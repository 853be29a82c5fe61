//! What may be read of a thing.

mod cut;

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use ditto_json::JsonPointer;

pub use self::cut::Cut;

/// What a reader may see of a thing: a tree over member names. Cloning is cheap, and equal views are equal values with
/// equal hashes, so that what was made for one serves all others.
///
/// INVARIANT: a node says only what the one above it does not say already; so two views that let the same be seen are
/// the same tree.
#[derive(Debug, Clone)]
pub struct View {
    root: Arc<Root>,
}

#[derive(Debug, PartialEq, Eq)]
struct Root {
    node: Node,
    hash: u64,
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    /// Whether what stands here may be read, and what stands in members that are not listed.
    is_readable: bool,
    members: BTreeMap<Box<str>, Node>,
}

/// How much of a place may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything, whatever comes to stand there.
    Whole,
    /// What stands at some places in it.
    Part,
    /// Nothing.
    Nothing,
}

/// Members of a thing that stay for whoever may read any part of it (policies.md §6, step 6).
pub const ALWAYS_READABLE: [&str; 5] = ["thingId", "_namespace", "_revision", "_modified", "_created"];

impl Node {
    pub(crate) fn leaf(is_readable: bool) -> Self {
        Self { is_readable, members: BTreeMap::new() }
    }

    /// Puts a node below, unless it says nothing new.
    pub(crate) fn set(&mut self, name: &str, node: Node) {
        if node.members.is_empty() && node.is_readable == self.is_readable {
            self.members.remove(name);
        } else {
            self.members.insert(name.into(), node);
        }
    }

    /// Grants or revokes everything at a path and below it.
    fn say(&mut self, path: &[String], is_readable: bool) {
        if let [name, rest @ ..] = path {
            let mut node = self.members.get(name.as_str()).cloned().unwrap_or(Self::leaf(self.is_readable));
            node.say(rest, is_readable);
            self.set(name, node);
        } else {
            *self = Self::leaf(is_readable);
        }
    }

    /// Appends where it says something else than what is said above it.
    fn said(&self, path: &mut Vec<String>, above: bool, said: &mut Vec<(JsonPointer, bool)>) {
        if self.is_readable != above {
            said.push((JsonPointer::of(path.iter().cloned()), self.is_readable));
        }
        for (name, node) in &self.members {
            path.push(name.to_string());
            node.said(path, self.is_readable, said);
            path.pop();
        }
    }

    fn union(&self, other: &Self) -> Self {
        let mut node = Self::leaf(self.is_readable || other.is_readable);
        let (own, others) = (Self::leaf(self.is_readable), Self::leaf(other.is_readable));
        for name in self.members.keys().chain(other.members.keys()) {
            if !node.members.contains_key(name) {
                let own = self.members.get(name).unwrap_or(&own);
                node.set(name, own.union(other.members.get(name).unwrap_or(&others)));
            }
        }
        node
    }

    fn access(&self) -> Access {
        match (self.members.is_empty(), self.is_readable) {
            (true, true) => Access::Whole,
            (true, false) => Access::Nothing,
            (false, _) => Access::Part,
        }
    }
}

/// A place in a view: a node, or what is inherited where none is.
#[derive(Debug, Clone, Copy)]
enum Spot<'v> {
    Node(&'v Node),
    Inherited(bool),
}

impl Spot<'_> {
    fn access(self) -> Access {
        match self {
            Self::Node(node) => node.access(),
            Self::Inherited(true) => Access::Whole,
            Self::Inherited(false) => Access::Nothing,
        }
    }
}

impl View {
    pub(crate) fn of(node: Node) -> Self {
        let mut hasher = std::hash::DefaultHasher::new();
        node.hash(&mut hasher);
        Self { root: Arc::new(Root { hash: hasher.finish(), node }) }
    }

    /// Everything.
    pub fn whole() -> Self {
        static WHOLE: LazyLock<View> = LazyLock::new(|| View::of(Node::leaf(true)));
        WHOLE.clone()
    }

    /// Nothing.
    pub fn nothing() -> Self {
        static NOTHING: LazyLock<View> = LazyLock::new(|| View::of(Node::leaf(false)));
        NOTHING.clone()
    }

    /// Everything at these paths of the thing and below them.
    pub fn of_paths<'p>(paths: impl IntoIterator<Item = &'p JsonPointer>) -> Self {
        Self::of_words(paths.into_iter().map(|path| (path, true)))
    }

    /// What these words leave: at each path and below it everything may be read, or nothing. A word further below counts more
    /// there; of two on one path, the one that forbids.
    pub fn of_words<'p>(words: impl IntoIterator<Item = (&'p JsonPointer, bool)>) -> Self {
        let mut words: Vec<_> = words.into_iter().collect();
        words.sort_by_key(|(path, is_readable)| (path.segments().len(), !is_readable));
        let mut node = Node::leaf(false);
        for (path, is_readable) in words {
            node.say(path.segments(), is_readable);
        }
        Self::of(node)
    }

    /// The fewest words that [`Self::of_words`] makes it of.
    pub fn words(&self) -> Vec<(JsonPointer, bool)> {
        let mut said = Vec::new();
        self.root.node.said(&mut Vec::new(), false, &mut said);
        said
    }

    /// What one of both lets be seen.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self == other || self.access() == Access::Whole || other.access() == Access::Nothing {
            return self.clone();
        }
        if other.access() == Access::Whole || self.access() == Access::Nothing {
            return other.clone();
        }
        Self::of(self.root.node.union(&other.root.node))
    }

    /// With these members of the thing, if it lets anything be seen.
    #[must_use]
    pub fn keeping(&self, members: &[&str]) -> Self {
        if self.access() != Access::Part {
            return self.clone();
        }
        let mut node = self.root.node.clone();
        for name in members {
            node.set(name, Node::leaf(true));
        }
        Self::of(node)
    }

    /// How much of the thing may be read.
    pub fn access(&self) -> Access {
        self.root.node.access()
    }

    /// How much of a place in the thing may be read; `path` is that of a signal.
    pub fn access_at(&self, path: &str) -> Access {
        self.spot(path).access()
    }

    fn spot(&self, path: &str) -> Spot<'_> {
        let mut node = &self.root.node;
        for segment in segments(path) {
            match node.members.get(&*segment) {
                Some(below) => node = below,
                None => return Spot::Inherited(node.is_readable),
            }
        }
        Spot::Node(node)
    }
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.root, &other.root) || self.root == other.root
    }
}

impl Eq for View {}

impl Hash for View {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.root.hash);
    }
}

/// The decoded segments of a path, as [`JsonPointer`] reads it; an empty segment stays one, and no rule is about it.
pub(crate) fn segments(path: &str) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let segments = (!inner.is_empty()).then(|| inner.split('/'));
    segments.into_iter().flatten().map(|segment| match segment.contains("~0") {
        true => segment.replace("~0", "~").into(),
        false => segment.into(),
    })
}
