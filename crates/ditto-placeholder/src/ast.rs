//! What a template is made of. `Display` prints the one canonical form.

use std::fmt;

use crate::function::FunctionName;
use crate::placeholder::Placeholder;

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// Copied as it is.
    Text(String),
    /// `{{ … }}`
    Pipeline(Pipeline),
}

/// What stands between the braces: `thing:id | fn:lower()`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pipeline {
    /// The placeholder at the start; without one the pipeline starts without a value.
    pub(crate) head: Option<Placeholder>,
    /// Functions in order.
    pub(crate) stages: Vec<Stage>,
}

/// A function of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    Call(Call),
    /// A function without `fn:` before it, as it is written. It never has a value (§1).
    Unprefixed(String),
}

/// `fn:name(arguments)`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    pub(crate) function: FunctionName,
    pub(crate) arguments: Vec<Argument>,
}

/// An argument of a function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Argument {
    /// A quoted text; an escaped quote keeps its backslash.
    Quoted {
        /// `'` or `"`.
        quote: char,
        /// What stands between the quotes.
        text: String,
    },
    Placeholder(Placeholder),
    /// A function without blanks and commas, which has no input.
    Call(Box<Call>),
}

/// All parts of a template.
pub(crate) struct Parts<'p>(pub(crate) &'p [Part]);

impl fmt::Display for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // After a `{{` that is text, or a character that makes braces with the next one, only the other braces read back.
        let (mut is_open, mut joins) = (false, false);
        self.0.iter().try_for_each(|part| match part {
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
        for (at, stage) in self.stages.iter().enumerate() {
            let bar = if at > 0 || self.head.is_some() { " | " } else { "" };
            match stage {
                Stage::Call(call) => write!(f, "{bar}{call}")?,
                Stage::Unprefixed(text) => write!(f, "{bar}{text}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fn:{}(", self.function.as_str())?;
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
            Self::Call(call) => write!(f, "{call}"),
        }
    }
}
