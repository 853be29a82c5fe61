//! Functions as they are run (placeholders.md §5). Nothing is parsed here.

mod filter;
mod format;
mod split;
mod text;
mod work;

use crate::ast::{Argument, Call, Pipeline, Stage};
use crate::error::{FunctionError, FunctionErrorKind};
use crate::function::FunctionName;
use crate::placeholder::Placeholder;
use crate::resolve::Resolve;
use crate::value::Value;

use self::filter::Filter;
use self::format::Format;
use self::split::Separator;

/// A pipeline, ready to run.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    head: Option<Placeholder>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Function(FunctionName, Function),
    /// A function without `fn:`.
    NoValue,
}

/// A function with its arguments.
#[derive(Debug, Clone)]
enum Function {
    Default(Operand),
    Delete,
    Lower,
    Upper,
    Trim,
    SubstringBefore(String),
    SubstringAfter(String),
    Replace(Operand, Operand),
    Split(Separator),
    Join(String),
    UrlEncode,
    UrlDecode,
    Base64Encode,
    Base64Decode,
    Filter(Filter),
    Format(Format),
}

/// An argument.
#[derive(Debug, Clone)]
enum Operand {
    Text(String),
    Program(Box<Program>),
}

impl Program {
    /// Prepares a pipeline.
    ///
    /// # Errors
    /// A format that is none.
    pub(crate) fn new(pipeline: &Pipeline) -> Result<Self, FunctionError> {
        let steps = pipeline.stages.iter().map(|stage| match stage {
            Stage::Call(call) => Ok(Step::Function(call.function, Function::new(call)?)),
            Stage::Unprefixed(_) => Ok(Step::NoValue),
        });
        Ok(Self { head: pipeline.head.clone(), steps: steps.collect::<Result<_, FunctionError>>()? })
    }

    pub(crate) fn of_placeholder(placeholder: Placeholder) -> Self {
        Self { head: Some(placeholder), steps: Vec::new() }
    }

    /// The placeholder, if it is nothing else.
    pub(crate) fn as_placeholder(&self) -> Option<&Placeholder> {
        self.head.as_ref().filter(|_| self.steps.is_empty())
    }

    /// Whether it gives the same for each message.
    pub(crate) fn is_constant(&self) -> bool {
        self.head.is_none()
            && self.steps.iter().all(|step| match step {
                Step::Function(_, function) => {
                    function.operands().all(|operand| matches!(operand, Operand::Text(_)))
                }
                Step::NoValue => true,
            })
    }

    /// Runs it.
    ///
    /// # Errors
    /// A function that fails, or gives too much.
    pub(crate) fn run(&self, values: &dyn Resolve) -> Result<Value, FunctionError> {
        self.watched(values, &mut |_: &Value| {})
    }

    /// Runs it; `watch` sees what it begins with, and what each function gives.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(crate) fn watched(
        &self,
        values: &dyn Resolve,
        watch: &mut impl FnMut(&Value),
    ) -> Result<Value, FunctionError> {
        let mut value = match &self.head {
            Some(placeholder) => {
                let mut texts = Vec::new();
                // What a message has is bounded, so this cannot grow without end.
                values.resolve_all(placeholder, &mut |text| texts.push(text.to_owned()));
                Value::of(texts)
            }
            None => Value::Unresolved,
        };
        watch(&value);
        for step in &self.steps {
            value = match step {
                Step::Function(name, function) => function
                    .apply(value, values)
                    .and_then(|value| Ok(value.check_size()?))
                    .map_err(|failure| failure.of(*name))?,
                Step::NoValue => Value::Unresolved,
            };
            watch(&value);
        }
        Ok(value)
    }
}

/// How a function fails: itself, or one in its arguments.
enum Failure {
    Own(FunctionErrorKind),
    Argument(FunctionError),
}

impl Failure {
    fn of(self, name: FunctionName) -> FunctionError {
        match self {
            Self::Own(kind) => FunctionError::new(name, kind),
            Self::Argument(error) => error,
        }
    }
}

impl From<FunctionErrorKind> for Failure {
    fn from(kind: FunctionErrorKind) -> Self {
        Self::Own(kind)
    }
}

impl Operand {
    fn new(argument: &Argument) -> Result<Self, FunctionError> {
        Ok(match argument {
            Argument::Quoted { text, .. } => Self::Text(text.clone()),
            Argument::Placeholder(placeholder) => {
                Self::Program(Box::new(Program::of_placeholder(placeholder.clone())))
            }
            Argument::Call(call) => {
                let steps = vec![Step::Function(call.function, Function::new(call)?)];
                Self::Program(Box::new(Program { head: None, steps }))
            }
        })
    }

    fn value(&self, values: &dyn Resolve) -> Result<Value, Failure> {
        match self {
            Self::Text(text) => Ok(Value::Resolved(vec![text.clone()])),
            Self::Program(program) => program.run(values).map_err(Failure::Argument),
        }
    }

    fn first(&self, values: &dyn Resolve) -> Result<Option<String>, Failure> {
        Ok(match self.value(values)? {
            Value::Resolved(texts) => texts.into_iter().next(),
            Value::Unresolved | Value::Deleted => None,
        })
    }
}

impl Function {
    fn new(call: &Call) -> Result<Self, FunctionError> {
        // The grammar has counted the arguments; what is missing all the same is empty.
        let operand =
            |n: usize| call.arguments.get(n).map_or_else(|| Ok(Operand::Text(String::new())), Operand::new);
        let text = match call.arguments.first() {
            Some(Argument::Quoted { text, .. }) => text.as_str(),
            _ => "",
        };
        Ok(match call.function {
            FunctionName::Default => Self::Default(operand(0)?),
            FunctionName::Delete => Self::Delete,
            FunctionName::Lower => Self::Lower,
            FunctionName::Upper => Self::Upper,
            FunctionName::Trim => Self::Trim,
            FunctionName::SubstringBefore => Self::SubstringBefore(text.to_owned()),
            FunctionName::SubstringAfter => Self::SubstringAfter(text.to_owned()),
            // A third argument is taken and has no effect (§5).
            FunctionName::Replace => Self::Replace(operand(0)?, operand(1)?),
            FunctionName::Split => Self::Split(Separator::new(text)),
            FunctionName::Join => Self::Join(text.to_owned()),
            FunctionName::UrlEncode => Self::UrlEncode,
            FunctionName::UrlDecode => Self::UrlDecode,
            FunctionName::Base64Encode => Self::Base64Encode,
            FunctionName::Base64Decode => Self::Base64Decode,
            FunctionName::Filter => {
                let third = call.arguments.get(2).map(Operand::new).transpose()?;
                Self::Filter(Filter::new(operand(0)?, operand(1)?, third))
            }
            FunctionName::Format => {
                let format = Format::parse(text);
                Self::Format(format.map_err(|kind| FunctionError::new(FunctionName::Format, kind))?)
            }
        })
    }

    fn operands(&self) -> impl Iterator<Item = &Operand> {
        match self {
            Self::Default(operand) => [Some(operand), None, None],
            Self::Replace(from, to) => [Some(from), Some(to), None],
            Self::Filter(filter) => filter.operands(),
            _ => [None, None, None],
        }
        .into_iter()
        .flatten()
    }

    fn apply(&self, input: Value, values: &dyn Resolve) -> Result<Value, Failure> {
        Ok(match self {
            Self::Default(operand) => {
                // First, so that it fails whether it is needed or not.
                let default = operand.value(values)?;
                if input == Value::Unresolved { default } else { input }
            }
            Self::Delete => Value::Deleted,
            Self::Lower => each(input, |text| Ok(text.to_lowercase()))?,
            Self::Upper => each(input, |text| Ok(text.to_uppercase()))?,
            Self::Trim => each(input, |text| Ok(text.trim_matches(|c| c <= ' ').to_owned()))?,
            Self::SubstringBefore(separator) => {
                some(input, |text| text.split_once(separator).map(|(it, _)| it))
            }
            Self::SubstringAfter(separator) => {
                some(input, |text| text.split_once(separator).map(|(_, it)| it))
            }
            Self::Replace(from, to) => {
                let from = from.first(values)?.unwrap_or_default();
                let to = to.first(values)?.ok_or(FunctionErrorKind::MissingArgument)?;
                each(input, |text| text::replace(text, &from, &to))?
            }
            Self::Split(separator) => separator.split(&input)?,
            Self::Join(separator) => text::join(&input, separator)?,
            Self::UrlEncode => each(input, |text| Ok(text::url_encode(text)))?,
            Self::UrlDecode => each(input, text::url_decode)?,
            Self::Base64Encode => each(input, |text| Ok(text::base64_encode(text)))?,
            Self::Base64Decode => each(input, text::base64_decode)?,
            Self::Filter(filter) => filter.apply(input, values)?,
            Self::Format(format) => format.apply(&input)?,
        })
    }
}

/// Each text turned into another one.
fn each(
    input: Value,
    change: impl Fn(&str) -> Result<String, FunctionErrorKind>,
) -> Result<Value, FunctionErrorKind> {
    match input {
        Value::Resolved(texts) => {
            Ok(Value::of(texts.iter().map(|text| change(text)).collect::<Result<_, _>>()?))
        }
        other => Ok(other),
    }
}

/// Each text turned into another one, or left out.
fn some(input: Value, change: impl Fn(&str) -> Option<&str>) -> Value {
    match input {
        Value::Resolved(texts) => {
            Value::of(texts.iter().filter_map(|text| change(text)).map(str::to_owned).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
