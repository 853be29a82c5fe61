//! `eval placeholder`

use std::time::{SystemTime, UNIX_EPOCH};

use ditto_outbound::SignalValues;
use ditto_placeholder::{
    ExplainedPipeline, FunctionError, Placeholder, Resolve, Scope, Template, UtcTime, Value,
};
use ditto_protocol::Signal;
use serde_json::json;

use super::mistake::Mistake;
use super::output::{Answer, Output, Stop};
use super::shown::listed;
use crate::cli::{PlaceholderArgs, PlaceholderScope};

pub(super) fn run(args: &PlaceholderArgs, output: &mut Output) -> Result<(), Stop> {
    let text = &args.template;
    let template =
        Template::parse(text, scope(args.scope)).map_err(|error| Mistake::of_template(text, &error))?;
    let mut about = Answer::default();
    about.say(&format!("template: {template}"), "template", template.to_string());
    let has_values = !args.header.is_empty() || args.connection_id.is_some() || args.source_address.is_some();
    if args.on.signal.is_empty() && has_values {
        let given = tried(&template, &Given { args, signal: None });
        about.text.push_str(&given.text);
        about.json.extend(given.json);
    }
    output.try_on(&args.on, &about, |signal| tried(&template, &Given { args, signal: Some(signal) }))
}

fn scope(scope: PlaceholderScope) -> Scope {
    match scope {
        PlaceholderScope::Mapping => Scope::Mapping,
        PlaceholderScope::EnforcementInput => Scope::EnforcementInput,
        PlaceholderScope::EnforcementFilter => Scope::EnforcementFilter,
        PlaceholderScope::Connection => Scope::Connection,
        PlaceholderScope::SourceAddress => Scope::SourceAddress,
    }
}

/// What a template gives, with every step.
fn tried(template: &Template, values: &Given<'_>) -> Answer {
    let explanation = template.explain(values);
    let mut answer = Answer::default();
    answer.say(&line(&explanation.value), "outcome", outcome(&explanation.value));
    match &explanation.value {
        Ok(value) => answer.member("values", value.texts()),
        Err(error) => answer.member("error", json!({ "code": error.code(), "message": error.to_string() })),
    }
    explanation.pipelines.iter().for_each(|pipeline| answer.below(&lines(pipeline)));
    let pipelines = explanation.pipelines.iter().map(|pipeline| {
        let steps = pipeline.steps.iter().map(|step| {
            let (text, outcome) = (&step.text, outcome(&step.value));
            match &step.value {
                Ok(value) => json!({ "text": text, "outcome": outcome, "values": value.texts() }),
                Err(error) => json!({ "text": text, "outcome": outcome, "message": error.to_string() }),
            }
        });
        json!({ "text": pipeline.text, "steps": steps.collect::<Vec<_>>() })
    });
    answer.member("placeholders", pipelines.collect::<Vec<_>>());
    answer
}

fn outcome(value: &Result<Value, FunctionError>) -> &'static str {
    match value {
        Ok(Value::Resolved(_)) => "resolved",
        Ok(Value::Unresolved) => "unresolved",
        Ok(Value::Deleted) => "deleted",
        Err(_) => "failed",
    }
}

fn line(value: &Result<Value, FunctionError>) -> String {
    match value {
        Ok(Value::Resolved(texts)) => format!("resolved: {}", listed(texts)),
        Ok(Value::Unresolved | Value::Deleted) => outcome(value).to_owned(),
        Err(error) => format!("failed: {error}"),
    }
}

/// A pipeline with its steps below it, one a line.
fn lines(pipeline: &ExplainedPipeline) -> String {
    let width = pipeline.steps.iter().map(|step| step.text.chars().count()).max().unwrap_or_default().min(40);
    let mut lines = format!("{{{{ {} }}}}", pipeline.text);
    for step in &pipeline.steps {
        lines.push_str(&format!("\n  {:<width$}  {}", step.text, line(&step.value)));
    }
    lines
}

/// What the command line says, and the signal.
struct Given<'g> {
    args: &'g PlaceholderArgs,
    signal: Option<&'g Signal>,
}

impl Given<'_> {
    fn of_signal(&self) -> Option<SignalValues<'_>> {
        self.signal.map(|signal| SignalValues::new(signal, self.args.connection_id.as_deref()))
    }

    /// What the command line says.
    fn said(&self, placeholder: &Placeholder) -> Option<&str> {
        match placeholder {
            Placeholder::Header(name) => {
                let headers = &self.args.header;
                headers
                    .iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.as_str())
            }
            Placeholder::ConnectionId => self.args.connection_id.as_deref(),
            Placeholder::SourceAddress => self.args.source_address.as_deref(),
            _ => None,
        }
    }
}

impl Resolve for Given<'_> {
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
        match (self.said(placeholder), placeholder) {
            (Some(text), _) => out.push_str(text),
            (None, Placeholder::Time(time)) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
                time.append(UtcTime::new(i64::try_from(now.as_secs()).ok()?, now.subsec_nanos()), out);
            }
            _ => self.of_signal()?.resolve(placeholder, out)?,
        }
        Some(())
    }

    fn resolve_all(&self, placeholder: &Placeholder, each: &mut dyn FnMut(&str)) {
        // What the command line says is one value.
        if let Some(values) = self.of_signal().filter(|_| self.said(placeholder).is_none()) {
            return values.resolve_all(placeholder, each);
        }
        let mut text = String::new();
        if self.resolve(placeholder, &mut text).is_some() {
            each(&text);
        }
    }
}
