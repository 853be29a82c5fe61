//! What may still come.

use ditto_json::JsonPointer;

/// The places of the thing that its enrichment (`extraFields`) may bring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    pointers: Vec<JsonPointer>,
}

impl Pending {
    /// Nothing comes any more.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Something may come at each of these places. `features/*` stands for every feature, and a placeholder (`{{ … }}`) for
    /// whatever it may become.
    pub fn of<'p>(pointers: impl IntoIterator<Item = &'p JsonPointer>) -> Self {
        Self { pointers: pointers.into_iter().cloned().collect() }
    }

    /// Whether what comes can change what is at, above or below `path`.
    pub(crate) fn concerns(&self, path: &JsonPointer) -> bool {
        let asked = path.segments();
        let is_feature = asked.first().is_some_and(|root| root == "features");
        self.pointers.iter().any(|pointer| {
            let last = pointer.segments().len().saturating_sub(1);
            for (at, (pending, asked)) in pointer.segments().iter().zip(asked).enumerate() {
                if pending.contains("{{") || pending.contains("${") {
                    return true;
                }
                let is_any_feature = is_feature && at == 1 && pending == "*";
                // The reference compares texts: what only begins like a place is open as well, which costs an enrichment.
                let is_like = if at == last { asked.starts_with(pending) } else { asked == pending };
                if !is_like && !is_any_feature {
                    return false;
                }
            }
            // One of them is the other, or around it: what is brought below a place makes the place itself be there.
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pending: &str, path: &str, expected: bool) {
        let pointer = |text: &str| text.parse::<JsonPointer>().unwrap();
        assert_eq!(Pending::of([&pointer(pending)]).concerns(&pointer(path)), expected, "{pending} {path}");
    }

    #[test]
    fn above_and_below() {
        check("attributes/site", "attributes/site", true);
        check("attributes/site", "attributes/site/floor", true);
        check("attributes/site/floor", "attributes/site", true);
        check("attributes/site", "attributes/siteX/floor", true);
        check("attributes/siteX", "attributes/site", false);
        check("attributes/site/floor", "attributes/siteX/floor", false);
        check("policyId", "policyId", true);
        check("policyId", "thingId", false);
        check("features/lamp/properties/on", "features/lamp/properties/on", true);
        check("features/lamp/properties/on", "features/lamp", true);
        check("features/lamp/properties/on", "features/lamp/desiredProperties/on", false);
        assert!(!Pending::nothing().concerns(&JsonPointer::root()));
    }

    #[test]
    fn any_feature_and_what_is_not_resolved() {
        check("features/*/properties/on", "features/lamp/properties/on", true);
        check("features/*/properties/on", "features/lamp/properties/off", false);
        check("attributes/*", "attributes/site", false);
        check("features/{{ feature:id }}/properties", "features/lamp/definition", true);
        check("features/{{ feature:id }}/properties", "attributes/site", false);
    }
}
