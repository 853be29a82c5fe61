//! What holds for any input. The target in `fuzz/` looks for one that breaks it, `crashes/` has those that did.

use std::time::SystemTime;

use ditto_json::{Extraction, Places};
use ditto_rql::{Filter, Pending, Truth};
use serde_json::Value;

/// What is printed reads back, and a mistake has a place. On a thing (what the input has from the first line on that opens an
/// object), its text and its value say the same, whether or not its pointers were compiled, and what is decided before all is known stays.
pub(crate) fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, thing) = match text.split_once("\n{") {
        Some((text, thing)) => (text, format!("{{{thing}")),
        None => (text, "{}".to_owned()),
    };
    let filter = match text.parse::<Filter>() {
        Ok(filter) => filter,
        Err(error) => {
            assert!(text.is_char_boundary(error.at()), "{error}");
            assert!(!error.to_string().contains('\n') && error.line() > 0 && error.column() > 0);
            return drop(error.pointing_into(text).to_string());
        }
    };
    assert_eq!(filter.to_string().parse(), Ok(filter.clone()));
    let now = SystemTime::UNIX_EPOCH;
    let (compiled, nothing) = (Extraction::new(filter.pointers()), Extraction::new([]));
    let (mut places, mut none) = (Places::default(), Places::default());
    let raw = compiled.scan(&thing, 64, &mut places);
    let walked = nothing.scan(&thing, 64, &mut none);
    let (Ok(raw), Ok(walked)) = (raw, walked) else {
        return assert!(
            compiled.scan(&thing, 64, &mut places).is_err() && nothing.scan(&thing, 64, &mut none).is_err()
        );
    };
    assert_eq!(filter.matches(&raw, now), filter.matches(&walked, now));
    let Ok(value) = serde_json::from_str::<Value>(&thing) else { return };
    let matches = filter.matches(&value, now);
    // A value has no number beyond a double.
    let is_number = |c: char| c.is_ascii_digit() || ".eE+-".contains(c);
    let mut numbers =
        thing.split(|c| !is_number(c)).filter(|text| text.contains(|c: char| c.is_ascii_digit()));
    if !numbers.any(|number| number.len() > 15 || number.contains(['e', 'E'])) {
        assert_eq!(filter.matches(&raw, now), matches);
    }
    assert_eq!(filter.explain(&value, &Pending::nothing(), now).truth, Truth::from(matches));
    let anything = Pending::of([&ditto_json::JsonPointer::root()]);
    let before = filter.could_match(&value, &anything, now);
    assert!(before == Truth::Unknown || before == Truth::from(matches));
}
