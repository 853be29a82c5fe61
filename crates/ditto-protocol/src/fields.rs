//! The field selector of a query as it stands in a message (protocol.md §2).

use ditto_json::JsonPointer;

use crate::error::{ErrorCode, ProtocolError};

/// The pointers between the commas, each once and with a leading slash; `None` if there are none. Parentheses have no
/// meaning here.
pub(crate) fn canonical_fields(text: &str) -> Result<Option<String>, ProtocolError> {
    let mut pointers: Vec<JsonPointer> = Vec::new();
    for field in text.split(',').filter(|field| !field.is_empty()) {
        pointers.push(field.parse().map_err(|error| {
            ProtocolError::new(ErrorCode::JSON_POINTER_INVALID, format!("member `fields`: {error}"))
        })?);
    }
    if pointers.is_empty() && !text.is_empty() {
        return Ok(None);
    }
    let mut known = std::collections::HashSet::with_capacity(pointers.len());
    let fields: Vec<String> =
        pointers.iter().filter(|pointer| known.insert(*pointer)).map(ToString::to_string).collect();
    Ok(Some(fields.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_between_commas() {
        for (text, canonical) in [
            ("thingId,attributes/a", Ok(Some("/thingId,/attributes/a"))),
            ("/thingId,thingId,", Ok(Some("/thingId"))),
            ("attributes(a,b)", Ok(Some("/attributes(a,/b)"))),
            ("", Ok(Some(""))),
            (",", Ok(None)),
            ("a//b", Err("json.pointer.invalid")),
        ] {
            let ours = canonical_fields(text).map_err(|error| error.code().name());
            assert_eq!(ours, canonical.map(|text| text.map(ToOwned::to_owned)), "{text}");
        }
    }
}
