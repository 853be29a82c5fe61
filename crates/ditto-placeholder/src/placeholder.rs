//! The placeholders and where each may stand: one table (placeholders.md §4).

use std::fmt;

use crate::time::TimeName;

/// Where a template stands. It decides which placeholders there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Addresses and header mappings of targets, header mappings of sources.
    Mapping,
    /// What a source checks: the value that comes with a message.
    EnforcementInput,
    /// What a source checks it against.
    EnforcementFilter,
    /// Acknowledgement labels and group ids.
    Connection,
    /// What a source of a protocol without headers checks.
    SourceAddress,
}

impl Scope {
    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// For messages: `… is not available in <this>`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mapping => "addresses and header mappings",
            Self::EnforcementInput => "the input of an enforcement",
            Self::EnforcementFilter => "the filters of an enforcement",
            Self::Connection => "acknowledgement labels and group ids",
            Self::SourceAddress => "the input of an enforcement by address",
        }
    }
}

const MAPPING: u8 = Scope::Mapping.bit();
const INPUT: u8 = Scope::EnforcementInput.bit();
const FILTER: u8 = Scope::EnforcementFilter.bit();
const CONNECTION: u8 = Scope::Connection.bit();
const SOURCE: u8 = Scope::SourceAddress.bit();

macro_rules! placeholders {
    ($($variant:ident = $prefix:literal, $name:literal, $scopes:expr;)*) => {
        /// A value of the signal or of its surroundings.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "each variant is the text of the placeholder")]
        pub enum Placeholder {
            $($variant,)*
            /// `header:<name>`; names are found in any case.
            Header(String),
            /// `thing-json:<pointer>`, the pointer with or without its first slash.
            ThingJson(String),
            /// `time:now…`
            Time(TimeName),
        }

        impl Placeholder {
            /// The fixed names, for messages that list them.
            pub(crate) const KNOWN: &'static [&'static str] = &[$(concat!($prefix, ":", $name),)* "time:now", "time:now_epoch_millis"];

            pub(crate) fn find(prefix: &str, name: &str) -> Option<Self> {
                match (prefix, name) {
                    $(($prefix, $name) => Some(Self::$variant),)*
                    ("header", name) if !name.is_empty() => Some(Self::Header(name.to_owned())),
                    ("thing-json", name) if !matches!(name, "" | "id" | "namespace" | "name") => {
                        Some(Self::ThingJson(name.to_owned()))
                    }
                    ("time", name) => TimeName::parse(name).map(Self::Time),
                    _ => None,
                }
            }

            fn scopes(&self) -> u8 {
                match self {
                    $(Self::$variant => $scopes,)*
                    Self::Header(_) => MAPPING | INPUT,
                    Self::ThingJson(_) | Self::Time(_) => MAPPING,
                }
            }
        }

        impl fmt::Display for Placeholder {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str(concat!($prefix, ":", $name)),)*
                    Self::Header(name) => write!(f, "header:{name}"),
                    Self::ThingJson(name) => write!(f, "thing-json:{name}"),
                    Self::Time(name) => write!(f, "time:{name}"),
                }
            }
        }
    };
}

placeholders! {
    ThingId = "thing", "id", MAPPING | FILTER;
    ThingNamespace = "thing", "namespace", MAPPING | FILTER;
    ThingName = "thing", "name", MAPPING | FILTER;
    EntityId = "entity", "id", MAPPING | FILTER;
    EntityNamespace = "entity", "namespace", MAPPING | FILTER;
    EntityName = "entity", "name", MAPPING | FILTER;
    PolicyId = "policy", "id", FILTER;
    PolicyNamespace = "policy", "namespace", FILTER;
    PolicyName = "policy", "name", FILTER;
    FeatureId = "feature", "id", MAPPING | FILTER;
    TopicFull = "topic", "full", MAPPING;
    TopicNamespace = "topic", "namespace", MAPPING;
    TopicEntityName = "topic", "entityName", MAPPING;
    TopicGroup = "topic", "group", MAPPING;
    TopicChannel = "topic", "channel", MAPPING;
    TopicCriterion = "topic", "criterion", MAPPING;
    TopicAction = "topic", "action", MAPPING;
    TopicSubject = "topic", "subject", MAPPING;
    TopicActionSubject = "topic", "action-subject", MAPPING;
    ResourceType = "resource", "type", MAPPING;
    ResourcePath = "resource", "path", MAPPING;
    RequestSubjectId = "request", "subjectId", MAPPING;
    ConnectionId = "connection", "id", MAPPING | CONNECTION;
    SourceAddress = "source", "address", SOURCE;
}

impl Placeholder {
    /// Whether it may stand there.
    pub fn is_available(&self, scope: Scope) -> bool {
        self.scopes() & scope.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_places() {
        let places = |text: &str| {
            let (prefix, name) = text.split_once(':').unwrap();
            let placeholder = Placeholder::find(prefix, name).unwrap();
            assert_eq!(placeholder.to_string(), text);
            [
                Scope::Mapping,
                Scope::EnforcementInput,
                Scope::EnforcementFilter,
                Scope::Connection,
                Scope::SourceAddress,
            ]
            .map(|scope| u8::from(placeholder.is_available(scope)))
        };
        for known in Placeholder::KNOWN {
            assert!(places(known).contains(&1), "{known}");
        }
        assert_eq!(places("header:x"), [1, 1, 0, 0, 0]);
        assert_eq!(places("thing:id"), [1, 0, 1, 0, 0]);
        assert_eq!(places("policy:id"), [0, 0, 1, 0, 0]);
        assert_eq!(places("thing-json:a/b"), [1, 0, 0, 0, 0]);
        assert_eq!(places("time:now-1h[d]"), [1, 0, 0, 0, 0]);
        assert_eq!(places("connection:id"), [1, 0, 0, 1, 0]);
        assert_eq!(places("source:address"), [0, 0, 0, 0, 1]);
    }

    #[test]
    fn some_are_none() {
        for (prefix, name) in
            [("header", ""), ("thing-json", "id"), ("time", "then"), ("thing", "Id"), ("jwt", "sub")]
        {
            assert_eq!(Placeholder::find(prefix, name), None, "{prefix}:{name}");
        }
    }
}
