//! The evaluator against one that does each thing in the simplest way, without folding, sharing or limits.

use proptest::prelude::*;
use regex::Regex;

use super::Message;
use crate::ast::{Argument, Call, Part, Pipeline, Stage};
use crate::function::FunctionName;
use crate::{Resolution, Resolve, Template, Value};

/// `None` if a function fails.
fn template(parts: &[Part], message: &Message<'_>) -> Option<Value> {
    let values: Vec<Value> = parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => Some(Value::Resolved(vec![text.clone()])),
            Part::Pipeline(it) => pipeline(it, message),
        })
        .collect::<Option<_>>()?;
    if values.contains(&Value::Unresolved) {
        return Some(Value::Unresolved);
    }
    if !values.is_empty() && values.iter().all(|value| *value == Value::Deleted) {
        return Some(Value::Deleted);
    }
    let mut all = vec![String::new()];
    for value in values.iter().filter(|value| **value != Value::Deleted) {
        all = all
            .iter()
            .flat_map(|start| value.texts().iter().map(move |end| format!("{start}{end}")))
            .collect();
    }
    Some(Value::Resolved(all))
}

fn pipeline(pipeline: &Pipeline, message: &Message<'_>) -> Option<Value> {
    let mut value = Value::Unresolved;
    if let Some(head) = &pipeline.head {
        let mut texts = Vec::new();
        message.resolve_all(head, &mut |text| texts.push(text.to_owned()));
        value = some(texts);
    }
    for stage in &pipeline.stages {
        value = match stage {
            Stage::Call(it) => call(it, value, message)?,
            Stage::Unprefixed(_) => Value::Unresolved,
        };
    }
    Some(value)
}

fn some(texts: Vec<String>) -> Value {
    if texts.is_empty() { Value::Unresolved } else { Value::Resolved(texts) }
}

fn call(call: &Call, input: Value, message: &Message<'_>) -> Option<Value> {
    let arguments: Vec<Value> = call
        .arguments
        .iter()
        .map(|argument| match argument {
            Argument::Quoted { text, .. } => Some(Value::Resolved(vec![text.clone()])),
            Argument::Placeholder(it) => {
                let stages = Vec::new();
                pipeline(&Pipeline { head: Some(it.clone()), stages }, message)
            }
            Argument::Call(it) => {
                let stages = vec![Stage::Call((**it).clone())];
                pipeline(&Pipeline { head: None, stages }, message)
            }
        })
        .collect::<Option<_>>()?;
    let first = |n: usize| arguments.get(n).and_then(|value| value.texts().first()).cloned();
    let text = first(0).unwrap_or_default();
    let map = |change: &dyn Fn(&String) -> Option<String>| match &input {
        Value::Resolved(texts) => some(texts.iter().filter_map(change).collect()),
        other => other.clone(),
    };
    Some(match call.function {
        FunctionName::Default if input == Value::Unresolved => arguments.into_iter().next()?,
        FunctionName::Default => input,
        FunctionName::Delete => Value::Deleted,
        FunctionName::Lower => map(&|it| Some(it.to_lowercase())),
        FunctionName::Upper => map(&|it| Some(it.to_uppercase())),
        FunctionName::Trim => map(&|it| Some(it.trim_matches(|c| c <= ' ').to_owned())),
        FunctionName::SubstringBefore => map(&|it| Some(it.get(..it.find(&text)?)?.to_owned())),
        FunctionName::SubstringAfter => map(&|it| Some(it.get(it.find(&text)? + text.len()..)?.to_owned())),
        FunctionName::Replace => {
            let to = first(1)?;
            map(&|it| {
                if text.is_empty() {
                    Some(it.chars().flat_map(|c| [to.clone(), c.to_string()]).collect::<String>() + &to)
                } else {
                    Some(it.split(&text).collect::<Vec<_>>().join(&to))
                }
            })
        }
        FunctionName::Join if input.texts().is_empty() => Value::Unresolved,
        FunctionName::Join => Value::Resolved(vec![input.texts().join(&text)]),
        FunctionName::Split => {
            let mut all = Vec::new();
            for it in input.texts() {
                let mut pieces: Vec<&str> = it.split(&text).collect();
                while it.contains(&text) && !it.is_empty() && pieces.last() == Some(&"") {
                    pieces.pop();
                }
                all.extend(pieces.into_iter().map(str::to_owned));
            }
            some(all)
        }
        FunctionName::Filter => {
            let arguments: Vec<&[String]> = arguments.iter().map(Value::texts).collect();
            filter(&arguments, input)?
        }
        FunctionName::UrlEncode
        | FunctionName::UrlDecode
        | FunctionName::Base64Encode
        | FunctionName::Base64Decode
        | FunctionName::Format => return None,
    })
}

fn filter(arguments: &[&[String]], input: Value) -> Option<Value> {
    let holds = |op: Option<&String>, subject: &str, compared: Option<&str>| match (op?.as_str(), compared) {
        ("eq", Some(compared)) => Some(subject == compared),
        ("ne", Some(compared)) => Some(subject != compared),
        ("like", Some(compared)) => {
            let quoted = regex::escape(compared).replace("\\*", ".*").replace("\\?", ".").replace("\\|", "|");
            Some(Regex::new(&format!("\\A(?:{quoted})\\z")).unwrap().is_match(subject))
        }
        ("exists", None) => Some(!subject.is_empty()),
        ("exists", Some(flag)) => Some((flag.to_lowercase() == "true") != subject.is_empty()),
        _ => None,
    };
    let or_empty = |values: &[String]| if values.is_empty() { vec![String::new()] } else { values.to_vec() };
    let keeps = match arguments {
        [subjects, op, compared] => {
            let op = Some(op.first()?);
            or_empty(subjects).iter().any(|subject| {
                or_empty(compared).iter().any(|compared| holds(op, subject, Some(compared)) == Some(true))
            })
        }
        [subjects, op] if op.first().is_some_and(|op| op == "exists") => {
            subjects.iter().any(|subject| holds(op.first(), subject, None) == Some(true))
        }
        [op, compared] => {
            let Value::Resolved(texts) = &input else { return Some(input) };
            let keeps = |it: &&String| {
                compared.iter().any(|compared| holds(op.first(), it, Some(compared)) == Some(true))
            };
            return Some(some(texts.iter().filter(keeps).cloned().collect()));
        }
        _ => return None,
    };
    Some(match input {
        Value::Resolved(_) if !keeps => Value::Unresolved,
        other => other,
    })
}

/// Templates of everything that the simple evaluator knows.
fn templates() -> impl Strategy<Value = String> {
    let value = "('[ab,*? ]{0,3}'|header:[ab]|request:subjectId|fn:default\\('b'\\)|fn:delete\\(\\))";
    let op = "('(eq|ne|like|exists)'|header:a)";
    let functions = [
        format!("default\\({value}\\)"),
        "(delete|lower|upper|trim)\\(\\)".to_owned(),
        "(substring-before|substring-after|join)\\('[ab ]{0,2}'\\)".to_owned(),
        "split\\('[ab,]{1,2}'\\)".to_owned(),
        format!("replace\\({value},{value}\\)"),
        format!("filter\\({op},{value}\\)"),
        format!("filter\\({value},'(exists|eq)'(,{value})?\\)"),
    ]
    .join("|");
    let head = format!("(header:[ab]|request:subjectId|fn:({functions}))");
    let template = format!("([ab]?\\{{\\{{{head}(\\|fn:({functions})){{0,4}}\\}}\\}}){{0,3}}");
    proptest::string::string_regex(&template).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn gives_what_the_simple_one_gives(
        text in templates(),
        a in "[ab,|A ]{0,4}|exists",
        has_b in any::<bool>(),
        list in proptest::collection::vec("[abA,]{0,3}", 0..3),
    ) {
        let headers = [("a", a.as_str()), ("b", "b")];
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        let message = Message { headers: &headers[..1 + usize::from(has_b)], list: &list };
        // A constant that fails is refused when it is read.
        if let Ok(parsed) = text.parse::<Template>() {
            let all = parsed.resolve_all(&message).ok();
            prop_assert_eq!(&all, &template(parsed.parts(), &message), "{}", text);
            let mut out = String::new();
            let first = parsed.resolve_into(&message, &mut out);
            match &all {
                Some(Value::Resolved(texts)) => {
                    prop_assert_eq!(first, Ok(Resolution::Resolved));
                    prop_assert_eq!(Some(&out), texts.first());
                }
                Some(Value::Unresolved) => prop_assert_eq!(first, Ok(Resolution::Unresolved)),
                Some(Value::Deleted) => prop_assert_eq!(first, Ok(Resolution::Deleted)),
                None => prop_assert!(first.is_err()),
            }
        }
    }

    #[test]
    fn like_is_a_regular_expression(text in "[ab\n\r]{0,12}", pattern in "[ab*?|\n]{0,10}") {
        let quoted = regex::escape(&pattern).replace("\\*", "[^\n\r]*").replace("\\?", "[^\n\r]").replace("\\|", "|");
        let expected = Regex::new(&format!("\\A(?:{quoted})\\z")).unwrap().is_match(&text);
        prop_assert_eq!(super::is_like(&text, &pattern), expected);
    }
}
