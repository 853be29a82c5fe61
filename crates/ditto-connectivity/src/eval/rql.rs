//! `eval rql`

use ditto_connection::ExtraField;
use ditto_json::{Extraction, FieldSelector, Places};
use ditto_rql::Filter;

use super::enrichment::Enrichment;
use super::filter::{on_signal, on_thing};
use super::input::Thing;
use super::mistake::Mistake;
use super::output::{Answer, Output, Stop};
use crate::cli::RqlArgs;

pub(super) fn run(args: &RqlArgs, output: &mut Output) -> Result<(), Stop> {
    let text = &args.filter;
    let filter: Filter = text.parse().map_err(|error| Mistake::of_filter(text, &error))?;
    let fields = args.extra_fields.as_deref().map(extra_fields).transpose()?;
    let thing = args.thing.as_deref().map(Thing::read).transpose()?;
    let mut answer = Answer::default();
    answer.say(&format!("filter: {filter}"), "filter", filter.to_string());
    if args.on.signal.is_empty() {
        if let Some(thing) = &thing {
            let (extraction, mut places) = (Extraction::new(filter.pointers()), Places::default());
            let on_thing = on_thing(&filter, &thing.scan(&extraction, &mut places)?);
            answer.text.push_str(&on_thing.text);
            answer.json.extend(on_thing.json);
        }
        return output.answer(&answer);
    }
    let enrichment = Enrichment { fields, thing: thing.map(Thing::into_text) };
    output.try_on(&args.on, &answer, |signal| {
        let mut answer = Answer::default();
        on_signal(&filter, signal, &enrichment, &mut answer);
        answer
    })
}

fn extra_fields(text: &str) -> Result<Vec<ExtraField>, Stop> {
    let selector: FieldSelector = text.parse().map_err(|error| Mistake::of_selector(text, &error))?;
    let fields = selector.pointers().iter().map(|pointer| {
        let refused = |error| Mistake::of_template(&pointer.to_string(), &error).into();
        ExtraField::try_from(pointer).map_err(refused)
    });
    fields.collect()
}
