//! The most common address costs nothing but room in a buffer that is there already.

use std::alloc::System;

use ditto_placeholder::{KafkaAddress, Placeholder, Resolution, Resolve, Template};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Thing;

impl Resolve for Thing {
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
        match placeholder {
            Placeholder::ThingId => out.push_str("org.acme:press-4"),
            Placeholder::ThingNamespace => out.push_str("org.acme"),
            _ => return None,
        }
        Some(())
    }
}

#[test]
fn placeholders_without_functions_allocate_nothing() {
    let address: KafkaAddress = "events.{{ thing:namespace }}/{{ thing:id }}".parse().unwrap();
    let folded: Template = "{{ fn:default('a') | fn:upper() }}/{{ thing:id }}".parse().unwrap();
    let mut out = String::with_capacity(64);
    let region = Region::new(ALLOCATOR);
    for template in [address.template(), &folded] {
        for _ in 0..1_000 {
            out.clear();
            assert_eq!(template.resolve_into(&Thing, &mut out), Ok(Resolution::Resolved));
        }
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0));
    assert_eq!(out, "A/org.acme:press-4");
}
