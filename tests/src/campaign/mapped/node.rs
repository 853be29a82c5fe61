//! JSON that is known both as it is written to the feed and as a script writes it again.

use serde_json::Value;

/// A value. Arrays are leaves: nobody reads parts of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// As it stands in the feed, and as `JSON.stringify` gives it.
    Leaf {
        written: String,
        scripted: String,
    },
    Object(Vec<(&'static str, Self)>),
}

impl Node {
    pub(super) fn leaf(written: &str, scripted: &str) -> Self {
        Self::Leaf { written: written.to_owned(), scripted: scripted.to_owned() }
    }

    /// A text without anything that is escaped.
    pub(super) fn text(text: &str) -> Self {
        let text = format!("\"{text}\"");
        Self::leaf(&text, &text)
    }

    pub(super) fn null() -> Self {
        Self::leaf("null", "null")
    }

    /// With blanks that nobody needs.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Leaf { written, .. } => written.clone(),
            Self::Object(members) => {
                let members = members.iter().map(|(name, node)| format!("\"{name}\" : {}", node.written()));
                format!("{{ {} }}", members.collect::<Vec<_>>().join(",\t"))
            }
        }
    }

    pub(super) fn scripted(&self) -> String {
        match self {
            Self::Leaf { scripted, .. } => scripted.clone(),
            Self::Object(members) => {
                let members = members.iter().map(|(name, node)| format!("\"{name}\":{}", node.scripted()));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
        }
    }

    pub(super) fn value(&self) -> Value {
        serde_json::from_str(&self.written()).unwrap_or_default()
    }

    /// What may be read of it where it stands, if only these paths may be: `None` if that is nothing.
    pub(super) fn cut(&self, at: &str, granted: &[&str]) -> Option<Self> {
        if granted.iter().any(|path| covers(path, at)) {
            return Some(self.clone());
        }
        let Self::Object(members) = self else { return None };
        let members = members.iter().filter_map(|(name, node)| {
            // Whoever reads any part of a thing knows which one it is (policies.md §6, step 6).
            let always = at == "/" && *name == "thingId";
            let below = format!("{}/{name}", at.trim_end_matches('/'));
            Some((*name, if always { node.clone() } else { node.cut(&below, granted)? }))
        });
        let members: Vec<_> = members.collect();
        (!members.is_empty()).then_some(Self::Object(members))
    }
}

/// Whether a path is another one, or above it.
pub(super) fn covers(path: &str, other: &str) -> bool {
    other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_cut_at_its_place() {
        let value = Node::Object(vec![
            ("open", Node::Object(vec![("level", Node::leaf("1.50", "1.5"))])),
            ("secret", Node::text("s")),
        ]);
        assert_eq!(value.written(), "{ \"open\" : { \"level\" : 1.50 },\t\"secret\" : \"s\" }");
        assert_eq!(value.scripted(), r#"{"open":{"level":1.5},"secret":"s"}"#);
        let cut = |at| value.cut(at, &["/attributes/open"]).map(|it| it.scripted());
        assert_eq!(cut("/attributes").as_deref(), Some(r#"{"open":{"level":1.5}}"#));
        assert_eq!(cut("/attributes/open/x"), Some(value.scripted()));
        assert_eq!(cut("/attributes/opened"), None);
        assert_eq!(cut("/features/open"), None);
    }
}
