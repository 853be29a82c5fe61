//! What is made to be slow: an input, and one of four times its size. Four times the time is linear; where going back or trying
//! again is left in, it is sixteen.

use std::hint::black_box;
use std::time::SystemTime;

use anyhow::ensure;
use ditto_json::{Extraction, Places};
use ditto_placeholder::{Placeholder, Resolve, Template};
use ditto_rql::Filter;
use serde_json::json;

use super::super::operations::Operation;

/// Makes the operation on an input of that size.
type Make = fn(&'static str, usize) -> anyhow::Result<Operation>;

/// Name, the smaller size in bytes or pieces, and what is done.
const ALL: [(&str, usize, Make); 18] = [
    ("filter-parentheses", 25_000, |name, n| filter(name, "(".repeat(n), false)),
    ("filter-nested", 15_000, |name, n| filter(name, "not(".repeat(n), false)),
    ("filter-wide", 3_000, |name, n| {
        filter(name, format!("and({}exists(thingId))", "exists(thingId),".repeat(n)), true)
    }),
    ("filter-in", 3_000, |name, n| filter(name, format!("in(thingId{})", numbered(n, ",'", "'")), true)),
    ("filter-megabyte", 250_000, |name, n| filter(name, format!("like(thingId,'{}'", "a".repeat(n)), false)),
    ("pattern-long", 50_000, |name, n| like(name, &"a?*".repeat(n / 3), n, true)),
    ("like-stars", 25_000, |name, n| like(name, &format!("{}b*", "a*".repeat(1_000)), n, false)),
    ("like-question-marks", 25_000, |name, n| like(name, &format!("*{}b*", "a?".repeat(500)), n, false)),
    ("like-as-regex", 25_000, |name, n| like(name, "*(a*)*(.*a.*)+b$", n, false)),
    ("many-pointers", 1_000, many_pointers),
    ("event-nested", 25_000, |name, n| scan(name, format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n)))),
    ("template-braces", 25_000, |name, n| template(name, "{{".repeat(n) + &"}}".repeat(n))),
    ("template-nested", 5_000, |name, n| {
        template(name, format!("{{{{ {}'x'{} }}}}", "fn:default(".repeat(n), ")".repeat(n)))
    }),
    ("template-pipeline", 5_000, |name, n| {
        template(name, format!("{{{{ thing:id{} }}}}", "|fn:trim()".repeat(n)))
    }),
    ("fn-filter-stars", 25_000, |name, n| {
        let template = format!("{{{{ header:x | fn:filter('like','{}b') }}}}", "*a".repeat(1_000));
        resolve(name, &template, "a".repeat(n), true)
    }),
    ("fn-split-regex", 25_000, |name, n| {
        resolve(name, "{{ header:x | fn:split('(a*)*b') }}", format!("(a*)*b{}", "a".repeat(n)), true)
    }),
    ("fn-split-again", 25_000, |name, n| {
        let pattern = ".*[^A-Z]|[A-Z]";
        let template = format!("{{{{ header:x | fn:split('{pattern}') }}}}");
        resolve(name, &template, format!("{pattern}{}", "A".repeat(n)), false)
    }),
    ("fn-replace-grows", 25_000, |name, n| {
        let template = format!("{{{{ header:x{} }}}}", " | fn:replace('a', 'aa')".repeat(10));
        resolve(name, &template, "a".repeat(n), false)
    }),
];

/// More than this is quadratic, or on its way there. Caches, and the logarithm of a list that is sorted, cost more than four.
pub(super) const MOST: f64 = 8.0;

/// Each with an input, and with one of four times its size.
///
/// # Errors
/// One of them does not end as it should.
pub(super) fn all() -> anyhow::Result<Vec<(Operation, Operation)>> {
    ALL.iter().map(|(name, n, make)| Ok((make(name, *n)?, make(name, n * 4)?))).collect()
}

/// Reads a filter.
fn filter(name: &'static str, text: String, is_one: bool) -> anyhow::Result<Operation> {
    ensure!(text.parse::<Filter>().is_ok() == is_one, "{name}");
    Ok(Operation::new(name, move || black_box(&text).parse::<Filter>()))
}

/// Reads what is no template.
fn template(name: &'static str, text: String) -> anyhow::Result<Operation> {
    ensure!(text.parse::<Template>().is_err(), "{name}");
    Ok(Operation::new(name, move || black_box(&text).parse::<Template>()))
}

/// Reads the pattern and looks for it in `n` times the letter a.
fn like(name: &'static str, pattern: &str, n: usize, expected: bool) -> anyhow::Result<Operation> {
    let (text, thing) = (format!("like(thingId,'{pattern}')"), json!({ "thingId": "a".repeat(n) }));
    let once = move || {
        let filter = black_box(&text).parse::<Filter>().ok()?;
        Some(filter.matches(&thing, SystemTime::UNIX_EPOCH))
    };
    ensure!(once() == Some(expected), "{name}");
    Ok(Operation::new(name, once))
}

/// As many attributes as a filter asks for, none of which decides.
fn many_pointers(name: &'static str, n: usize) -> anyhow::Result<Operation> {
    let asked = numbered(n, ",empty(attributes/", ")");
    let filter: Filter = format!("or({})", asked.trim_start_matches(',')).parse()?;
    let extraction = Extraction::new(filter.pointers());
    let event = format!("{{\"attributes\":{{{}}}}}", numbered(n, ",\"", "\":1").trim_start_matches(','));
    let mut places = Places::default();
    let mut once = move || {
        let thing = extraction.scan(black_box(&event), 64, &mut places).ok()?;
        Some(filter.matches(&thing, SystemTime::UNIX_EPOCH))
    };
    ensure!(once() == Some(false), "{name}");
    Ok(Operation::new(name, once))
}

fn numbered(n: usize, before: &str, behind: &str) -> String {
    (0..n).map(|at| format!("{before}{at:06}{behind}")).collect()
}

/// As deep as it is long.
fn scan(name: &'static str, text: String) -> anyhow::Result<Operation> {
    let (extraction, mut places) = (Extraction::new([]), Places::default());
    let mut once = move || {
        let found = extraction.scan(black_box(&text), text.len(), &mut places).ok()?;
        Some(found.value() == text)
    };
    ensure!(once() == Some(true), "{name}");
    Ok(Operation::new(name, once))
}

/// A message whose headers all have one value.
struct Header(String);

impl Resolve for Header {
    fn resolve(&self, _: &Placeholder, out: &mut String) -> Option<()> {
        out.push_str(&self.0);
        Some(())
    }
}

fn resolve(name: &'static str, template: &str, value: String, is_bounded: bool) -> anyhow::Result<Operation> {
    let (template, header): (Template, _) = (template.parse()?, Header(value));
    let once = move || template.resolve_all(black_box(&header));
    ensure!(once().is_ok() == is_bounded, "{name}");
    Ok(Operation::new(name, once))
}
