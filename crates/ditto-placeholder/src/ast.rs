//! What a template is made of. `Display` prints the one canonical form.

use std::fmt;

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Template {
    pub(crate) parts: Vec<Part>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// Copied as it is.
    Text(String),
    /// `{{ … }}`
    Pipeline(Pipeline),
}

/// What stands between the braces: `thing:id | fn:lower()`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pipeline {
    /// The placeholder at the start; without one the pipeline starts with nothing.
    pub head: Option<Placeholder>,
    /// Functions in order.
    pub calls: Vec<Call>,
}

/// `fn:name(arguments)`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Call {
    /// Name without `fn:`.
    pub function: String,
    /// Arguments in order.
    pub arguments: Vec<Argument>,
}

/// An argument of a function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Argument {
    /// A quoted text; an escaped quote keeps its backslash.
    Quoted {
        /// `'` or `"`.
        quote: char,
        /// What stands between the quotes.
        text: String,
    },
    /// A placeholder.
    Placeholder(Placeholder),
}

macro_rules! placeholders {
    ($($variant:ident = $prefix:literal, $name:literal;)*) => {
        /// A value of the signal or of its surroundings (placeholders.md §4).
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "each variant is the text of the placeholder")]
        pub enum Placeholder {
            $($variant,)*
            /// `header:<name>`
            Header(String),
            /// `thing-json:<pointer>`
            ThingJson(String),
            /// `time:now…`, with its arithmetic as text.
            Time(String),
        }

        impl Placeholder {
            /// The fixed names, for messages that list them.
            pub(crate) const KNOWN: &'static [&'static str] = &[$(concat!($prefix, ":", $name),)*];

            pub(crate) fn find(prefix: &str, name: &str) -> Option<Self> {
                match (prefix, name) {
                    $(($prefix, $name) => Some(Self::$variant),)*
                    ("header", name) if !name.is_empty() => Some(Self::Header(name.to_owned())),
                    ("thing-json", name) if !name.is_empty() => Some(Self::ThingJson(name.to_owned())),
                    ("time", name) if name.starts_with("now") => Some(Self::Time(name.to_owned())),
                    _ => None,
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
    ThingId = "thing", "id";
    ThingNamespace = "thing", "namespace";
    ThingName = "thing", "name";
    EntityId = "entity", "id";
    EntityNamespace = "entity", "namespace";
    EntityName = "entity", "name";
    PolicyId = "policy", "id";
    PolicyNamespace = "policy", "namespace";
    PolicyName = "policy", "name";
    FeatureId = "feature", "id";
    TopicFull = "topic", "full";
    TopicNamespace = "topic", "namespace";
    TopicEntityName = "topic", "entityName";
    TopicGroup = "topic", "group";
    TopicChannel = "topic", "channel";
    TopicCriterion = "topic", "criterion";
    TopicAction = "topic", "action";
    TopicSubject = "topic", "subject";
    TopicActionSubject = "topic", "action-subject";
    ResourceType = "resource", "type";
    ResourcePath = "resource", "path";
    RequestSubjectId = "request", "subjectId";
    ConnectionId = "connection", "id";
    SourceAddress = "source", "address";
}

impl Placeholder {
    /// Whether it can be resolved already: `thing:`, `entity:`, `topic:`, `header:` and `connection:id`.
    pub fn is_built(&self) -> bool {
        !matches!(
            self,
            Self::PolicyId
                | Self::PolicyNamespace
                | Self::PolicyName
                | Self::FeatureId
                | Self::ResourceType
                | Self::ResourcePath
                | Self::RequestSubjectId
                | Self::SourceAddress
                | Self::ThingJson(_)
                | Self::Time(_)
        )
    }

    /// Whether targets may use it in addresses and header mappings (placeholders.md §4, OUT).
    pub fn is_for_targets(&self) -> bool {
        !matches!(self, Self::PolicyId | Self::PolicyNamespace | Self::PolicyName | Self::SourceAddress)
    }
}

impl Template {
    /// Its parts in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The text, if there is no placeholder in it.
    pub fn as_constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The placeholders in it, those in arguments too.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.pipelines().flat_map(|pipeline| {
            let arguments = pipeline.calls.iter().flat_map(|call| &call.arguments);
            pipeline.head.iter().chain(arguments.filter_map(|argument| match argument {
                Argument::Placeholder(placeholder) => Some(placeholder),
                Argument::Quoted { .. } => None,
            }))
        })
    }

    /// The functions in it.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.pipelines().flat_map(|pipeline| pipeline.calls.iter().map(|call| call.function.as_str()))
    }

    fn pipelines(&self) -> impl Iterator<Item = &Pipeline> {
        self.parts.iter().filter_map(|part| match part {
            Part::Pipeline(pipeline) => Some(pipeline),
            Part::Text(_) => None,
        })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // After a `{{` that is text, or a character that makes braces with the next one, only the other braces read back.
        let (mut is_open, mut joins) = (false, false);
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => {
                is_open |= text.contains("{{");
                joins = text.ends_with(['{', '$']);
                f.write_str(text)
            }
            Part::Pipeline(pipeline) if is_open || joins => {
                joins = false;
                write!(f, "${{ {pipeline} }}")
            }
            Part::Pipeline(pipeline) => write!(f, "{{{{ {pipeline} }}}}"),
        })
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(head) = &self.head {
            write!(f, "{head}")?;
        }
        for (at, call) in self.calls.iter().enumerate() {
            let bar = if at > 0 || self.head.is_some() { " | " } else { "" };
            write!(f, "{bar}{call}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fn:{}(", self.function)?;
        for (at, argument) in self.arguments.iter().enumerate() {
            write!(f, "{}{argument}", if at > 0 { ", " } else { "" })?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quoted { quote, text } => write!(f, "{quote}{text}{quote}"),
            Self::Placeholder(placeholder) => write!(f, "{placeholder}"),
        }
    }
}
