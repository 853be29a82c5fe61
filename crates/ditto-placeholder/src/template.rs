//! Templates: read once, folded, resolved for each message.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::ast::{Argument, Call, Part, Parts, Pipeline, Stage};
use crate::error::{FunctionError, TemplateError, TemplateErrorKind};
use crate::eval::Program;
use crate::grammar;
use crate::placeholder::{Placeholder, Scope};
use crate::resolve::{Resolution, Resolve};
use crate::value::{Value, product};

/// A text with placeholders.
#[derive(Clone)]
pub struct Template {
    /// As it is printed.
    parts: Vec<Part>,
    /// As it is evaluated: what does not depend on the message is done already.
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    /// Texts beside each other are one.
    Text(String),
    /// Several values that are known.
    Values(Vec<String>),
    Placeholder(Placeholder),
    Program(Program),
    Unresolved,
}

impl Template {
    /// Reads a template for a place.
    ///
    /// # Errors
    /// A placeholder or function that does not exist, is not available there, or has the wrong arguments; a function of
    /// constants that fails; a text beyond the limits.
    pub fn parse(text: &str, scope: Scope) -> Result<Self, TemplateError> {
        let (parts, places): (Vec<_>, Vec<_>) = grammar::parts(text, scope)?.into_iter().unzip();
        Self::of_parts(parts).map_err(|(n, error)| {
            let at = places.get(n).copied().unwrap_or_default();
            TemplateError::new(TemplateErrorKind::Function(error), at)
        })
    }

    /// Folds the parts, or says which one fails for every message.
    pub(crate) fn of_parts(parts: Vec<Part>) -> Result<Self, (usize, FunctionError)> {
        let mut steps: Vec<Step> = Vec::new();
        for (n, part) in parts.iter().enumerate() {
            let folded = match part {
                Part::Text(text) => Some(Step::Text(text.clone())),
                Part::Pipeline(pipeline) => fold(pipeline).map_err(|error| (n, error))?,
            };
            match (steps.last_mut(), folded) {
                (Some(Step::Text(last)), Some(Step::Text(text))) => last.push_str(&text),
                (_, step) => steps.extend(step),
            }
        }
        Ok(Self { parts, steps })
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The text, if it is the same for each message.
    pub fn as_constant(&self) -> Option<&str> {
        match self.steps.as_slice() {
            [] if self.parts.is_empty() => Some(""),
            [Step::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The placeholders in it, those in arguments too.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        let pipelines = self.parts.iter().filter_map(|part| match part {
            Part::Pipeline(pipeline) => Some(pipeline),
            Part::Text(_) => None,
        });
        pipelines.flat_map(|pipeline| {
            let mut found: Vec<&Placeholder> = pipeline.head.iter().collect();
            for stage in &pipeline.stages {
                if let Stage::Call(call) = stage {
                    of_arguments(call, &mut found);
                }
            }
            found
        })
    }

    /// The functions in it, those in arguments not, by their names without `fn:`.
    pub fn functions(&self) -> impl Iterator<Item = &'static str> {
        self.parts.iter().flat_map(|part| {
            let stages = match part {
                Part::Pipeline(pipeline) => pipeline.stages.as_slice(),
                Part::Text(_) => &[],
            };
            stages.iter().filter_map(|stage| match stage {
                Stage::Call(call) => Some(call.function.as_str()),
                Stage::Unprefixed(_) => None,
            })
        })
    }

    /// Runs its functions with an empty text for each placeholder. The reference does so when a connection is created, so what
    /// fails is no template for a header.
    ///
    /// # Errors
    /// A function that fails.
    pub fn check(&self) -> Result<(), FunctionError> {
        self.resolve_all(&Empty).map(drop)
    }

    /// Appends the first value. Without a function nothing is allocated but room in `out`.
    ///
    /// # Errors
    /// A function that fails for a value of this message. Nothing was appended then.
    pub fn resolve_into(&self, values: &impl Resolve, out: &mut String) -> Result<Resolution, FunctionError> {
        let start = out.len();
        let result = self.append(values, out);
        if result != Ok(Resolution::Resolved) {
            out.truncate(start);
        }
        result
    }

    fn append(&self, values: &impl Resolve, out: &mut String) -> Result<Resolution, FunctionError> {
        let mut is_unresolved = false;
        let mut is_kept = self.parts.is_empty();
        for step in &self.steps {
            let resolution = match step {
                Step::Text(text) => {
                    out.push_str(text);
                    Resolution::Resolved
                }
                Step::Values(texts) => {
                    out.push_str(texts.first().map_or("", String::as_str));
                    Resolution::Resolved
                }
                Step::Placeholder(placeholder) => match values.resolve(placeholder, out) {
                    Some(()) => Resolution::Resolved,
                    None => Resolution::Unresolved,
                },
                Step::Program(program) => match program.run(values)? {
                    Value::Resolved(texts) => {
                        out.push_str(texts.first().map_or("", String::as_str));
                        Resolution::Resolved
                    }
                    Value::Unresolved => Resolution::Unresolved,
                    Value::Deleted => Resolution::Deleted,
                },
                Step::Unresolved => Resolution::Unresolved,
            };
            // What follows may still fail, which counts for more.
            is_unresolved |= resolution == Resolution::Unresolved;
            is_kept |= resolution == Resolution::Resolved;
        }
        Ok(match (is_unresolved, is_kept) {
            (true, _) => Resolution::Unresolved,
            (false, true) => Resolution::Resolved,
            (false, false) => Resolution::Deleted,
        })
    }

    /// All values: each of each part with each of the others, later parts varying fastest.
    ///
    /// # Errors
    /// A function that fails for a value of this message, or too many values.
    pub fn resolve_all(&self, values: &impl Resolve) -> Result<Value, FunctionError> {
        let mut is_unresolved = false;
        let mut texts: Option<Vec<String>> = self.parts.is_empty().then(|| vec![String::new()]);
        for step in &self.steps {
            let value = match step {
                Step::Text(text) => Value::Resolved(vec![text.clone()]),
                Step::Values(texts) => Value::Resolved(texts.clone()),
                Step::Placeholder(placeholder) => Program::of_placeholder(placeholder.clone()).run(values)?,
                Step::Program(program) => program.run(values)?,
                Step::Unresolved => Value::Unresolved,
            };
            match value {
                Value::Resolved(ends) if !is_unresolved => {
                    let starts = texts.take().unwrap_or_else(|| vec![String::new()]);
                    let product = product(starts, &ends).and_then(|texts| Value::of(texts).check_size());
                    let product = product.map_err(FunctionError::of_template)?;
                    texts = Some(product.into_texts());
                }
                Value::Resolved(_) | Value::Deleted => {}
                Value::Unresolved => is_unresolved = true,
            }
        }
        Ok(match texts {
            _ if is_unresolved => Value::Unresolved,
            Some(texts) => Value::of(texts),
            None => Value::Deleted,
        })
    }
}

/// What a pipeline is for every message; `None` if it is deleted.
fn fold(pipeline: &Pipeline) -> Result<Option<Step>, FunctionError> {
    let program = Program::new(pipeline)?;
    if let Some(placeholder) = program.as_placeholder() {
        return Ok(Some(Step::Placeholder(placeholder.clone())));
    }
    if !program.is_constant() {
        return Ok(Some(Step::Program(program)));
    }
    Ok(match program.run(&Nothing)? {
        Value::Resolved(mut texts) if texts.len() == 1 => texts.pop().map(Step::Text),
        Value::Resolved(texts) => Some(Step::Values(texts)),
        Value::Unresolved => Some(Step::Unresolved),
        Value::Deleted => None,
    })
}

struct Empty;

impl Resolve for Empty {
    fn resolve(&self, _: &Placeholder, _: &mut String) -> Option<()> {
        Some(())
    }
}

struct Nothing;

impl Resolve for Nothing {
    fn resolve(&self, _: &Placeholder, _: &mut String) -> Option<()> {
        None
    }
}

fn of_arguments<'t>(call: &'t Call, found: &mut Vec<&'t Placeholder>) {
    for argument in &call.arguments {
        match argument {
            Argument::Quoted { .. } => {}
            Argument::Placeholder(placeholder) => found.push(placeholder),
            // No deeper than the grammar allows.
            Argument::Call(call) => of_arguments(call, found),
        }
    }
}

/// For addresses and header mappings.
impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        Self::parse(text, Scope::Mapping)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Parts(&self.parts))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.to_string()).finish()
    }
}

// The steps follow from the parts.
impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Template {}

impl Hash for Template {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts.hash(state);
    }
}
