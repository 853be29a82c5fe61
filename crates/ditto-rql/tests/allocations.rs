//! Evaluating on a text needs no memory but that which is there already.

use std::alloc::System;
use std::time::SystemTime;

use ditto_json::{Extraction, JsonPointer, Places};
use ditto_rql::{Filter, Pending, Truth};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn evaluating_on_a_text_allocates_nothing() {
    let filter: Filter = "and(or(eq(attributes/nope,null),gt(attributes/counter,42)),like(attributes/site,\"n*th?\"),\
        ilike(attributes/site,'NORTH*'),in(attributes/counter,7,43.0),exists(features/lamp),not(empty(features/lamp)))"
        .parse()
        .unwrap();
    let value: JsonPointer = "value".parse().unwrap();
    let pointers: Vec<_> = filter.pointers().map(|pointer| value.join(pointer)).collect();
    let (extraction, mut places) = (Extraction::new(&pointers), Places::default());
    let pending = Pending::of([&"attributes/site".parse().unwrap()]);
    let text = r#"{"topic":"a/b","value":{"attributes":{"counter":43,"site":"north7"},"features":{"lamp":{"properties":{"on":true}}}}}"#;
    let now = SystemTime::UNIX_EPOCH;
    let mut evaluate = || {
        let thing = extraction.scan(text, 64, &mut places).unwrap().below(&value).unwrap();
        assert!(filter.matches(&thing, now));
        assert_eq!(filter.could_match(&thing, &pending, now), Truth::Unknown);
    };
    evaluate();
    let region = Region::new(ALLOCATOR);
    (0..1_000).for_each(|_| evaluate());
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0));
}
