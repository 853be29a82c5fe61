//! For which things an entry of a policy is.

/// A namespace, or `a.b.*`: everything strictly below `a.b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamespacePattern {
    text: String,
}

impl NamespacePattern {
    /// `None` for a text that is neither.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let namespace = text.strip_suffix(".*").unwrap_or(text);
        let is_namespace = !namespace.is_empty() && is_namespace(namespace);
        is_namespace.then(|| Self { text: text.to_owned() })
    }

    pub(crate) fn matches(&self, namespace: &str) -> bool {
        match self.text.strip_suffix('*') {
            Some(prefix) => namespace.starts_with(prefix),
            None => self.text == namespace,
        }
    }
}

/// Whether it can stand before the name of a thing.
fn is_namespace(text: &str) -> bool {
    format!("{text}:n").parse::<ditto_protocol::ThingId>().is_ok_and(|id| id.namespace() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_or_strictly_below() {
        let check = |pattern: &str, namespace: &str| {
            NamespacePattern::parse(pattern).map(|pattern| pattern.matches(namespace))
        };
        assert_eq!(check("a.b", "a.b"), Some(true));
        assert_eq!(check("a.b", "a.b.c"), Some(false));
        assert_eq!(check("a.b.*", "a.b"), Some(false));
        assert_eq!(check("a.b.*", "a.b.c.d"), Some(true));
        assert_eq!(check("a.b.*", "a.bc"), Some(false));
        for invalid in ["", "*", ".*", "a*", "a:b", "a..b", "a.*.b"] {
            assert_eq!(check(invalid, "a"), None, "{invalid}");
        }
    }
}
