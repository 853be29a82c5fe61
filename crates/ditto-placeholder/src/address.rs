//! The address of a Kafka target (connection-model.md §8, placeholders.md §7).

mod outline;

use std::fmt;
use std::str::FromStr;

use crate::ast::Part;
use crate::caret::caret;
use crate::error::{FunctionError, TemplateError};
use crate::placeholder::Placeholder;
use crate::resolve::{Resolution, Resolve};
use crate::template::Template;

pub use self::outline::AddressOutline;

/// A target's address as it is configured: `topic`, `topic/key` or `topic#partition`, with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KafkaAddress {
    template: Template,
}

/// An address after its placeholders are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolvedAddress<'a> {
    /// A legal topic name.
    pub topic: &'a str,
    /// Never empty; may contain `/` and `#`.
    pub key: Option<&'a str>,
    /// Never negative.
    pub partition: Option<i32>,
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The placeholders in it.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A function in it that fails for any value.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// A function in it gives nothing for an arbitrary value.
    #[error("its functions give nothing for an arbitrary value")]
    Unresolved,
    /// The topic.
    #[error("`{0}` is no topic: 1 to 249 of A-Z a-z 0-9 . _ - are allowed, and not `.` or `..`")]
    Topic(String),
    /// The partition.
    #[error("`{0}` is no partition: a number from 0 to 2147483647")]
    Partition(String),
    /// Nothing follows the slash or the number sign.
    #[error("nothing follows `{0}`: name the {1} or leave it out")]
    Empty(char, &'static str),
}

impl AddressError {
    /// Byte offset of the mistake in `text`, the address or what it was resolved to.
    pub fn at(&self, text: &str) -> usize {
        let find = |what: &str| text.find(what).unwrap_or_default();
        match self {
            Self::Template(error) => error.at(),
            Self::Function(error) => error.function().map_or(0, |name| find(&format!("fn:{name}("))),
            // Without a pipeline it would have a value.
            Self::Unresolved => find("{{"),
            Self::Topic(_) => outline::misfit_in_topic(text),
            Self::Partition(_) => outline::separator(text).map_or(0, |at| at + 1),
            Self::Empty(..) => text.len(),
        }
    }

    /// The place in `text`, as [`caret`](caret()) shows it.
    pub fn caret(&self, text: &str) -> String {
        caret(text, self.at(text))
    }

    /// The reference's error code.
    pub fn code(&self) -> &'static str {
        "connectivity:connection.configuration.invalid"
    }
}

impl KafkaAddress {
    /// The template to resolve for each signal.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The topic and the template of the key, where no placeholder can change the topic.
    pub fn as_fixed_topic(&self) -> Option<(&str, Template)> {
        let (Part::Text(text), rest) = self.template.parts().split_first()? else { return None };
        // What a placeholder adds comes after the first slash, so it is all key.
        let (topic, key) = text.split_once('/').filter(|(topic, _)| !topic.is_empty())?;
        // The text stays even if it is empty: the address is not deleted because all of its key is.
        let first = Part::Text(key.to_owned());
        let key = Template::of_parts(std::iter::once(first).chain(rest.iter().cloned()).collect());
        Some((topic, key.ok()?))
    }

    /// The address, if there is no placeholder in it.
    pub fn as_constant(&self) -> Option<ResolvedAddress<'_>> {
        self.template.as_constant().and_then(|text| ResolvedAddress::parse(text).ok())
    }
}

/// Stands for any value at configuration time (§7). Like the reference's it is a UUID, so that functions find in it what they
/// find in one; ours is always the same, so that a definition is refused each time or never.
const DUMMY: &str = "3f2b1c9d-7a4e-4d58-9e61-0c8b5a7d2f13";

struct Dummy;

impl Resolve for Dummy {
    fn resolve(&self, _: &Placeholder, out: &mut String) -> Option<()> {
        out.push_str(DUMMY);
        Some(())
    }
}

/// Every placeholder gets a dummy for its value, and functions run on it. Then the rules of configuration time hold: a `/` or `#`
/// must be followed by something. A dummy is legal in a topic, and a number in a partition.
impl FromStr for KafkaAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let template: Template = text.parse()?;
        let mut sample = String::with_capacity(text.len());
        if template.resolve_into(&Dummy, &mut sample)? != Resolution::Resolved {
            return Err(AddressError::Unresolved);
        }
        let parts = Parts::split(&sample);
        let topic = parts.topic.replace(DUMMY, "replaced_placeholder");
        match parts.rest {
            Some(('/', "")) => return Err(AddressError::Empty('/', "key")),
            Some(('#', "")) => return Err(AddressError::Empty('#', "partition")),
            // The reference lets negative numbers pass here and fails each record; we fail early.
            Some(('#', partition)) => {
                ResolvedAddress::parse(&format!("{topic}#{}", partition.replace(DUMMY, "3")))?;
            }
            Some(_) => drop(ResolvedAddress::parse(&format!("{topic}/key"))?),
            None => drop(ResolvedAddress::parse(&topic)?),
        }
        Ok(Self { template })
    }
}

impl fmt::Display for KafkaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.template)
    }
}

/// Topic and what follows its separator. A `/` is looked for first; at the very start neither separates.
struct Parts<'a> {
    topic: &'a str,
    rest: Option<(char, &'a str)>,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Self {
        let at = |separator: char| text.find(separator).filter(|at| *at > 0);
        let found = at('/').map(|at| (at, '/')).or_else(|| at('#').map(|at| (at, '#')));
        match found.and_then(|(at, separator)| Some((separator, text.get(..at)?, text.get(at + 1..)?))) {
            Some((separator, topic, rest)) => Self { topic, rest: Some((separator, rest)) },
            None => Self { topic: text, rest: None },
        }
    }
}

impl<'a> ResolvedAddress<'a> {
    /// Takes a resolved text apart. An empty key or partition counts as none.
    ///
    /// # Errors
    /// An illegal topic, or a partition that is no number from 0 to 2^31-1.
    pub fn parse(text: &'a str) -> Result<Self, AddressError> {
        let parts = Parts::split(text);
        if !is_topic(parts.topic) {
            return Err(AddressError::Topic(parts.topic.to_owned()));
        }
        let (mut key, mut partition) = (None, None);
        match parts.rest {
            Some(('/', rest)) if !rest.is_empty() => key = Some(rest),
            Some(('#', rest)) if !rest.is_empty() => {
                partition = Some(number(rest).ok_or_else(|| AddressError::Partition(rest.to_owned()))?);
            }
            _ => {}
        }
        Ok(Self { topic: parts.topic, key, partition })
    }
}

/// A number as Java reads it: with an optional plus, in the decimal digits of any script.
fn number(text: &str) -> Option<i32> {
    /// The zeros of scripts in the basic plane; their other digits follow.
    const ZEROS: [u32; 24] = [
        0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6,
        0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0xff10,
    ];
    let digits = text.strip_prefix('+').unwrap_or(text);
    let digit = |c: char| {
        let code = u32::from(c);
        ZEROS.iter().find_map(|zero| code.checked_sub(*zero).filter(|digit| *digit < 10))
    };
    if digits.is_empty() {
        return None;
    }
    digits
        .chars()
        .try_fold(0_i32, |number, c| number.checked_mul(10)?.checked_add(i32::try_from(digit(c)?).ok()?))
}

fn is_topic(text: &str) -> bool {
    (1..=249).contains(&text.len()) && !matches!(text, "." | "..") && text.chars().all(is_of_topic)
}

/// Whether a topic may have it in its name.
fn is_of_topic(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests;
