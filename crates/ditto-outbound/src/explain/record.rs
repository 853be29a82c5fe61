//! From a message to its record: header mapping, address, acknowledgement.

use ditto_placeholder::{Explanation, Template, Value};
use serde_json::json;

use super::Decision;
use crate::acknowledge::awaits;
use crate::resolve::Values;
use crate::signal::RoutedSignal;
use crate::target::{Address, CompiledTarget, HeaderValue};

/// What the deliver stack looks at.
pub(super) fn of_message(signal: &RoutedSignal, target: &CompiledTarget) -> Vec<Decision> {
    let values = Values { signal, target };
    [headers(&values), Some(address(&values)), acknowledgement(signal, target)]
        .into_iter()
        .flatten()
        .collect()
}

fn headers(values: &Values<'_>) -> Option<Decision> {
    let (mut failed, mut left_out) = (None, None);
    let (mut lines, mut list) = (String::new(), Vec::new());
    for (name, value) in values.target.headers() {
        let HeaderValue::Template(template) = value else { continue };
        let explained = template.explain(values);
        let (line, json) = match &explained.value {
            Ok(Value::Resolved(texts)) => {
                let first = texts.first().cloned().unwrap_or_default();
                (
                    format!("= {first}"),
                    json!({"name": name.as_str(), "template": template.to_string(), "value": first}),
                )
            }
            Ok(Value::Unresolved | Value::Deleted) => {
                let line = format!("is left out: {}", unresolved(&explained));
                left_out.get_or_insert_with(|| format!("header `{}` {line}", name.as_str()));
                (line, json!({"name": name.as_str(), "template": template.to_string(), "value": null}))
            }
            Err(error) => {
                failed.get_or_insert_with(|| format!("header `{}`: {error}", name.as_str()));
                (format!("failed: {error}"), json!({"name": name.as_str(), "error": error.to_string()}))
            }
        };
        lines.push_str(&format!("{} {line}\n", name.as_str()));
        list.push(json);
    }
    if list.is_empty() {
        return None;
    }
    let decision = match (failed, left_out) {
        (None, None) => Decision::new("headers", true, format!("{} from templates", list.len())),
        (None, Some(why)) => Decision::new("headers", true, why).remedy(
            "add `| fn:default('…')` behind it, or use a placeholder that every signal of the target has",
        ),
        (Some(why), _) => Decision::new("headers", false, why)
            .remedy("mend the function; `ditto-connectivity eval placeholder` tries it"),
    };
    Some(decision.below(&lines).detail("headers", list))
}

fn address(values: &Values<'_>) -> Decision {
    let text = values.target.address_text();
    let template: Option<&Template> = match values.target.address() {
        Address::Fixed(_) => None,
        Address::Key(_, key) => Some(key),
        Address::Template(address) => Some(address.template()),
    };
    let Some(template) = template else { return Decision::new("address", true, text) };
    let explained = template.explain(values);
    let steps = || {
        let pipelines = explained.pipelines.iter();
        pipelines.map(|pipeline| {
            let value = pipeline.steps.last().map(|step| match &step.value {
                Ok(Value::Resolved(texts)) => format!("= {}", texts.join(", ")),
                Ok(Value::Unresolved | Value::Deleted) => "has no value".to_owned(),
                Err(error) => format!("failed: {error}"),
            });
            format!("{{{{ {} }}}} {}\n", pipeline.text, value.unwrap_or_default())
        })
    };
    let decision = match (&explained.value, values.target.address()) {
        (Ok(Value::Resolved(texts)), Address::Template(_)) => {
            let resolved = texts.first().cloned().unwrap_or_default();
            match ditto_placeholder::ResolvedAddress::parse(&resolved) {
                Ok(_) => Decision::new("address", true, resolved),
                Err(error) => {
                    Decision::new("address", false, format!("`{text}` resolves to `{resolved}`: {error}"))
                        .remedy("make its placeholders resolve to a legal topic, and a partition to a number")
                }
            }
        }
        (Ok(Value::Resolved(_)), _) => Decision::new("address", true, text),
        (Ok(Value::Unresolved | Value::Deleted), _) => Decision::new(
            "address",
            false,
            format!("`{text}` is not resolved: {}", unresolved(&explained)),
        )
        .remedy(
            "add `| fn:default('…')` behind it, or use a placeholder that every signal of the target has",
        ),
        (Err(error), _) => Decision::new("address", false, format!("`{text}`: {error}"))
            .remedy("mend the function; `ditto-connectivity eval address` tries it"),
    };
    decision.below(&steps().collect::<String>())
}

/// Which placeholders have no value.
fn unresolved(explained: &Explanation) -> String {
    let without = explained.pipelines.iter().filter(|pipeline| {
        let last = pipeline.steps.last().map(|step| &step.value);
        matches!(last, None | Some(Ok(Value::Unresolved | Value::Deleted)))
    });
    let without: Vec<_> = without.map(|pipeline| format!("`{{{{ {} }}}}`", pipeline.text)).collect();
    format!("{} has no value for this signal", without.join(", "))
}

fn acknowledgement(signal: &RoutedSignal, target: &CompiledTarget) -> Option<Decision> {
    let label = target.issued_label()?;
    let is_awaited = awaits(signal.signal(), label);
    let says = if is_awaited {
        format!("`{label}` is requested, and says how this ends")
    } else {
        format!("`{label}` is not requested by the signal")
    };
    Some(Decision::new("acknowledgement", true, says).detail("label", label).detail("requested", is_awaited))
}
