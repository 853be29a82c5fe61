//! Why a template gives what it gives.

use crate::ast::{Part, Pipeline, Stage};
use crate::error::FunctionError;
use crate::eval::Program;
use crate::resolve::Resolve;
use crate::template::Template;
use crate::value::Value;

/// A template with what came out at each of its functions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// What [`Template::resolve_all`] gives.
    pub value: Result<Value, FunctionError>,
    /// What stands between braces, in order.
    pub pipelines: Vec<ExplainedPipeline>,
}

/// What stands between braces, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedPipeline {
    /// As it is printed: `thing:id | fn:lower()`.
    pub text: String,
    /// The placeholder, if it begins with one, and each function behind it. Nothing follows a function that fails.
    pub steps: Vec<ExplainedStep>,
}

/// A step of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedStep {
    /// The placeholder or the function, as it is printed.
    pub text: String,
    /// What came out.
    pub value: Result<Value, FunctionError>,
}

impl Template {
    /// Resolves it and tells what came out on the way. It is for people: it takes the time of two evaluations, and memory for
    /// every step.
    pub fn explain(&self, values: &impl Resolve) -> Explanation {
        let pipelines = self.parts().iter().filter_map(|part| match part {
            Part::Pipeline(pipeline) => Some(explain(pipeline, values)),
            Part::Text(_) => None,
        });
        Explanation { value: self.resolve_all(values), pipelines: pipelines.collect() }
    }
}

fn explain(pipeline: &Pipeline, values: &dyn Resolve) -> ExplainedPipeline {
    let head = pipeline.head.iter().map(ToString::to_string);
    let mut texts = head.chain(pipeline.stages.iter().map(|stage| match stage {
        Stage::Call(call) => call.to_string(),
        Stage::Unprefixed(text) => text.clone(),
    }));
    let mut steps = Vec::new();
    // A pipeline of functions only begins without a value, which is no step.
    let mut is_seen = pipeline.head.is_some();
    let mut watch = |value: &Value| {
        if std::mem::replace(&mut is_seen, true) {
            steps.extend(texts.next().map(|text| ExplainedStep { text, value: Ok(value.clone()) }));
        }
    };
    let failed = Program::new(pipeline).and_then(|program| program.watched(values, &mut watch)).err();
    if let Some(error) = failed {
        steps.extend(texts.next().map(|text| ExplainedStep { text, value: Err(error) }));
    }
    ExplainedPipeline { text: pipeline.to_string(), steps }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placeholder::Placeholder;

    struct Tags;

    impl Resolve for Tags {
        fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
            matches!(placeholder, Placeholder::Header(_)).then(|| out.push_str("hot,new"))
        }
    }

    #[track_caller]
    fn check(template: &str, expected: &[&str]) {
        let shown = |value: &Result<Value, FunctionError>| match value {
            Ok(Value::Resolved(texts)) => format!("{texts:?}"),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.to_string(),
        };
        let explanation = template.parse::<Template>().unwrap().explain(&Tags);
        let mut lines = vec![shown(&explanation.value)];
        for pipeline in &explanation.pipelines {
            lines.push(pipeline.text.clone());
            lines.extend(
                pipeline.steps.iter().map(|step| format!("  {} -> {}", step.text, shown(&step.value))),
            );
        }
        assert_eq!(lines, expected);
    }

    #[test]
    fn each_step_with_what_came_out() {
        check(
            "tag-{{ header:t | fn:split(',') | fn:upper() }}/{{thing:id|fn:default('x')}}",
            &[
                r#"["tag-HOT/x", "tag-NEW/x"]"#,
                "header:t | fn:split(',') | fn:upper()",
                r#"  header:t -> ["hot,new"]"#,
                r#"  fn:split(',') -> ["hot", "new"]"#,
                r#"  fn:upper() -> ["HOT", "NEW"]"#,
                "thing:id | fn:default('x')",
                "  thing:id -> Unresolved",
                r#"  fn:default('x') -> ["x"]"#,
            ],
        );
        check("{{ fn:delete() }}", &["Deleted", "fn:delete()", "  fn:delete() -> Deleted"]);
        check("text", &[r#"["text"]"#]);
    }

    #[test]
    fn nothing_follows_what_fails() {
        check(
            "{{ header:t | fn:base64-decode() | fn:upper() }}",
            &[
                "fn:base64-decode: the value is no base64",
                "header:t | fn:base64-decode() | fn:upper()",
                r#"  header:t -> ["hot,new"]"#,
                "  fn:base64-decode() -> fn:base64-decode: the value is no base64",
            ],
        );
    }
}
