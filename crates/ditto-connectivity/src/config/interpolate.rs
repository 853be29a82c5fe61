//! `${NAME}` and `${NAME:-default}` in texts of the configuration.

/// Looks up a variable of the environment.
pub type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// Replaces variables; `$${` stands for `${`. An empty variable counts as not set where there is a default.
///
/// # Errors
/// What is wrong, with the remedy.
pub(super) fn interpolate(text: &str, variables: Variables<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((expression, after)) = after.split_once('}') else {
            return Err("`${` is not closed; write $${ for the text itself".to_owned());
        };
        let (name, default) = match expression.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (expression, None),
        };
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return Err(format!(
                "`${{{expression}}}` names no variable; write ${{NAME}} or ${{NAME:-default}}"
            ));
        }
        match (variables(name), default) {
            (Some(value), None) => out.push_str(&value),
            (Some(value), Some(_)) if !value.is_empty() => out.push_str(&value),
            (_, Some(default)) => out.push_str(default),
            (None, None) => {
                return Err(format!("variable {name} is not set; set it, or write ${{{name}:-default}}"));
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let variables = |name: &str| match name {
            "HOST" => Some("kafka".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let got = interpolate(text, &variables);
        match expected {
            Ok(expected) => assert_eq!(got.as_deref(), Ok(expected)),
            Err(part) => assert!(got.as_ref().is_err_and(|error| error.contains(part)), "{got:?}"),
        }
    }

    #[test]
    fn variables_defaults_and_escapes() {
        check("${HOST}:9092, ${HOST}", Ok("kafka:9092, kafka"));
        check("${PORT:-9092}${EMPTY:-x}[${EMPTY}]", Ok("9092x[]"));
        check("$${HOST} $5 {}", Ok("${HOST} $5 {}"));
        check("${NOPE}", Err("NOPE is not set"));
        check("${HOST", Err("not closed"));
        check("${a b}", Err("names no variable"));
    }
}
