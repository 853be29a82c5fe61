//! What holds for any input. The targets in `fuzz/` look for one that breaks it, `crashes/` has those that did.

use ditto_placeholder::{KafkaAddress, Placeholder, Resolution, Resolve, ResolvedAddress, Template};

/// Says the same for each placeholder.
struct Always<'v>(Option<&'v str>);

impl Resolve for Always<'_> {
    fn resolve(&self, _: &Placeholder, out: &mut String) -> Resolution {
        let Some(value) = self.0 else { return Resolution::Unresolved };
        out.push_str(value);
        Resolution::Resolved
    }
}

/// What is printed reads back. Whatever the placeholders say (the input after its first line), a record goes to a legal
/// topic, and where the topic is fixed, to that one.
pub(crate) fn address(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (address, value) = text.split_once('\n').unwrap_or((text, "x"));
    resolved(text);
    let Ok(address) = address.parse::<KafkaAddress>() else { return };
    assert_eq!(address.to_string().parse(), Ok(address.clone()));
    let mut out = String::new();
    if address.template().resolve_into(&Always(Some(value)), &mut out) == Resolution::Unresolved {
        return;
    }
    let at_once = resolved(&out);
    if let Some(constant) = address.as_constant() {
        assert_eq!(at_once, Some(constant));
    }
    if let Some((topic, template)) = address.as_fixed_topic() {
        let mut key = String::new();
        assert_eq!(template.resolve_into(&Always(Some(value)), &mut key), Resolution::Resolved);
        let key = Some(key.as_str()).filter(|key| !key.is_empty());
        assert_eq!(at_once, Some(ResolvedAddress { topic, key, partition: None }));
    }
}

fn resolved(text: &str) -> Option<ResolvedAddress<'_>> {
    let address = ResolvedAddress::parse(text).ok()?;
    let ResolvedAddress { topic, key, partition } = address;
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    assert!((1..=249).contains(&topic.len()) && topic.bytes().all(is_legal) && topic != "." && topic != "..");
    assert!(key.is_none_or(|key| !key.is_empty()) && partition.is_none_or(|partition| partition >= 0));
    assert!(key.is_none() || partition.is_none());
    Some(address)
}

/// What is printed reads back, a mistake has a place, and what cannot be resolved leaves nothing behind.
pub(crate) fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let template = match text.parse::<Template>() {
        Ok(template) => template,
        Err(error) => return assert!(error.at() <= text.len(), "{error}"),
    };
    assert_eq!(template.to_string().parse(), Ok(template.clone()));
    let mut out = "before ".to_owned();
    let resolution = template.resolve_into(&Always(None), &mut out);
    match template.as_constant() {
        Some(constant) => assert_eq!((resolution, out), (Resolution::Resolved, format!("before {constant}"))),
        None => assert_eq!((resolution, out.as_str()), (Resolution::Unresolved, "before ")),
    }
}
