//! The topics that a target subscribes to (topics.md §1, §2).

use std::collections::HashSet;
use std::fmt;

use ditto_protocol::TargetTopic;

/// A kind of signals, and from which namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TopicSubscription {
    topic: TargetTopic,
    namespaces: Vec<String>,
}

/// What is wrong with a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicError {
    pub(crate) reason: String,
    pub(crate) remedy: String,
    pub(crate) code: &'static str,
}

impl TopicSubscription {
    /// The kind.
    pub fn topic(&self) -> TargetTopic {
        self.topic
    }

    /// The namespaces of the entities, compared exactly; empty means all.
    pub fn namespaces(&self) -> &[String] {
        &self.namespaces
    }

    pub(crate) fn parse(text: &str) -> Result<Self, TopicError> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let topic: TargetTopic = base.parse().map_err(|_| {
            let nearest = nearest(base, TargetTopic::ALL.iter().map(|topic| topic.as_str()));
            TopicError {
                reason: format!("`{base}` is no topic of a target"),
                remedy: match nearest {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => format!("use one of {}", TargetTopic::ALL.map(TargetTopic::as_str).join(", ")),
                },
                code: "connectivity:topic.invalid",
            }
        })?;
        let invalid = |reason: String, remedy: &str| TopicError {
            reason,
            remedy: remedy.to_owned(),
            code: "connectivity:topic.invalid",
        };
        let mut names = HashSet::new();
        let mut namespaces = Vec::new();
        for (name, value) in query.split('&').filter_map(|item| item.split_once('=')) {
            let decode = |text: &str| {
                form_decode(text).ok_or_else(|| {
                    invalid(format!("`{text}` has a % that encodes nothing"), "write a literal % as %25")
                })
            };
            let (name, value) = (decode(name)?, decode(value)?);
            if names.contains(&name) {
                return Err(invalid(format!("parameter `{name}` occurs twice"), "give each parameter once"));
            }
            match name.as_str() {
                "namespaces" => namespaces = split_list(&value),
                // No extra fields are none, but no filter is an empty one, which the reference refuses.
                "filter" | "extraFields"
                    if !topic.is_announcement() && (name == "filter" || !value.is_empty()) =>
                {
                    return Err(invalid(
                        format!("parameter `{name}` is not built yet"),
                        "leave it out for now: a target that ignored it would publish too much or too little",
                    ));
                }
                _ => {}
            }
            names.insert(name);
        }
        if topic == TargetTopic::ConnectionAnnouncements {
            namespaces.clear();
        }
        Ok(Self { topic, namespaces })
    }
}

/// The canonical form, decoded (topics.md §1).
impl fmt::Display for TopicSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.topic)?;
        if !self.namespaces.is_empty() {
            write!(f, "?namespaces={}", self.namespaces.join(","))?;
        }
        Ok(())
    }
}

/// Inner empty items stay, trailing ones are dropped.
fn split_list(text: &str) -> Vec<String> {
    let mut items: Vec<String> = text.split(',').map(str::to_owned).collect();
    while items.last().is_some_and(String::is_empty) {
        items.pop();
    }
    items
}

/// HTML form data: `+` is a blank.
fn form_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = after;
            }
            _ => bytes.push(byte),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Longer texts are nobody's misspelling, and comparing takes memory.
const MAX_MISSPELT: usize = 64;

/// The candidate that is most like `text`, if any is.
pub(crate) fn nearest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if text.len() > MAX_MISSPELT {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(text, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len())
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let parsed = match TopicSubscription::parse(text) {
            Ok(topic) => topic.to_string(),
            Err(error) => format!("{}; {}", error.reason, error.remedy),
        };
        assert_eq!(parsed, expected, "{text}");
    }

    #[test]
    fn namespaces_are_decoded_then_split() {
        check(
            "_/_/things/twin/events?namespaces=a%2Cb,,c,,&Namespaces=x",
            "_/_/things/twin/events?namespaces=a,b,,c",
        );
        check(
            "_/_/things/twin/events?filter=&extraFields=",
            "parameter `filter` is not built yet; leave it out for now: a target that ignored it would publish too much or too little",
        );
        check("_/_/things/twin/events?extraFields=", "_/_/things/twin/events");
        check("_/_/policies/announcements?filter=eq(a,1)", "_/_/policies/announcements");
        check("_/_/connections/announcements?namespaces=a", "_/_/connections/announcements");
        check(
            "_/_/things/twin/events?namespaces=a%",
            "`a%` has a % that encodes nothing; write a literal % as %25",
        );
        check("_/_/things/twin/events?x=1&x=2", "parameter `x` occurs twice; give each parameter once");
        check(
            "_/_/things/twin/event",
            "`_/_/things/twin/event` is no topic of a target; did you mean `_/_/things/twin/events`?",
        );
    }
}
