//! What holds for any input. The targets in `fuzz/` look for one that breaks it, `crashes/` has those that did.

use ditto_placeholder::{
    KafkaAddress, Placeholder, Resolution, Resolve, ResolvedAddress, Scope, Template, TimeName, UtcTime,
    Value,
};

/// Says the same for each placeholder: these values, of which there may be none.
struct Always<'v>(&'v [&'v str]);

impl Resolve for Always<'_> {
    fn resolve(&self, _: &Placeholder, out: &mut String) -> Option<()> {
        out.push_str(self.0.first()?);
        Some(())
    }

    fn resolve_all(&self, _: &Placeholder, each: &mut dyn FnMut(&str)) {
        self.0.iter().for_each(|value| each(value));
    }
}

/// What is printed reads back, its parts are all of it, and a mistake has a place. Whatever the placeholders say (the input
/// after its first line), a record goes to a legal topic, and where the topic is fixed, to that one.
pub(crate) fn address(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (address, value) = text.split_once('\n').unwrap_or((text, "x"));
    resolved(text);
    let written = address;
    let address = match written.parse::<KafkaAddress>() {
        Ok(address) => address,
        Err(error) => return assert_eq!(error.caret(written).lines().count(), 2, "{error}"),
    };
    let outline = address.outline();
    let parts = [Some(outline.topic.as_str()), outline.key.as_deref(), outline.partition.as_deref()];
    let separators = usize::from(outline.key.is_some() || outline.partition.is_some());
    assert_eq!(
        parts.iter().flatten().map(|part| part.len()).sum::<usize>() + separators,
        address.to_string().len()
    );
    assert_eq!(address.to_string().parse(), Ok(address.clone()));
    let values = Always(&[value]);
    let (mut out, mut key) = (String::new(), String::new());
    let whole = address.template().resolve_into(&values, &mut out);
    let at_once = resolved(&out);
    if let Some(constant) = address.as_constant() {
        assert_eq!(at_once, Some(constant));
    }
    if let Some((topic, template)) = address.as_fixed_topic() {
        assert_eq!(template.resolve_into(&values, &mut key), whole);
        if whole == Ok(Resolution::Resolved) {
            let key = Some(key.as_str()).filter(|key| !key.is_empty());
            assert_eq!(at_once, Some(ResolvedAddress { topic, key, partition: None }));
        }
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

/// What is printed reads back, and a mistake has a place. Whatever the placeholders say (the lines after the first one; no value,
/// the first, all), the value is the first of all values, what has none leaves nothing behind, and nobody runs out of memory.
pub(crate) fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for scope in [Scope::EnforcementInput, Scope::EnforcementFilter, Scope::Connection, Scope::SourceAddress]
    {
        // Only which placeholders there are depends on the place.
        if let Ok(template) = Template::parse(text, scope) {
            assert_eq!(Template::parse(&template.to_string(), scope), Ok(template));
        }
    }
    let whole = text.parse::<Template>();
    if let Err(error) = &whole {
        assert!(error.at() <= text.len(), "{error}");
        assert!(error.code().starts_with("placeholder:"));
        assert_eq!(error.caret(text).lines().count(), 2, "{:?}", error.caret(text));
    }
    let (first, lines) = text.split_once('\n').unwrap_or((text, ""));
    let lines: Vec<&str> = lines.lines().take(32).collect();
    for template in [whole, first.parse()].into_iter().flatten() {
        assert_eq!(template.to_string().parse(), Ok(template.clone()));
        let values = [&[], lines.get(..1).unwrap_or_default(), lines.as_slice()];
        values.iter().for_each(|values| evaluate(&template, values));
    }
}

fn evaluate(template: &Template, values: &[&str]) {
    let values = Always(values);
    let mut out = "before ".to_owned();
    let first = template.resolve_into(&values, &mut out);
    let shown = out.strip_prefix("before ").unwrap_or("taken away");
    match template.resolve_all(&values) {
        Ok(Value::Resolved(texts)) => {
            assert_eq!(first, Ok(Resolution::Resolved));
            assert_eq!(texts.first().map(String::as_str), Some(shown));
            assert!(texts.len() <= 4_096 && texts.iter().map(String::len).sum::<usize>() <= 1 << 22);
        }
        Ok(Value::Unresolved) => assert_eq!((first, shown), (Ok(Resolution::Unresolved), "")),
        Ok(Value::Deleted) => assert_eq!((first, shown), (Ok(Resolution::Deleted), "")),
        // With few values there are enough; with many, their product may be too much.
        Err(error) => assert!(first.is_err() || error.code() == "placeholder:function.too.complex"),
    }
    if first.is_err() {
        assert_eq!(shown, "");
    }
    if let Some(constant) = template.as_constant() {
        assert_eq!((first, shown), (Ok(Resolution::Resolved), constant));
    }
}

/// A time, if it is one, can be told, whatever the time is.
pub(crate) fn time(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(name) = TimeName::parse(text) else { return };
    assert_eq!(name.to_string(), text);
    for seconds in [0, -1, 1_805_280_151, -100_000_000_000, i64::MAX, i64::MIN] {
        let mut out = String::new();
        name.append(UtcTime::new(seconds, 987_654_321), &mut out);
        let is_millis = out.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        assert!(is_millis || out.ends_with('Z') && out.contains('T'), "{out}");
    }
}
