//! Clients that change connections until the service is killed; `cargo xtask campaign --plan churn` has longer ones.

use ditto_tests::campaign::{Churn, churn};

#[test]
fn the_store_holds_what_was_answered_and_nobody_else_loses_a_signal() -> anyhow::Result<()> {
    let plan = Churn { seed: 41, kills: 3, changes: 200, rate: 500, logs: None };
    let mut told = Vec::new();
    let outcome = churn(&plan, env!("CARGO_BIN_EXE_service"), |text| told.push(text))?;
    println!("{}\n{outcome:?}", told.join("\n"));
    assert!(outcome.is_good(), "{outcome:?}\n{}", outcome.findings.join("\n"));
    assert!(outcome.changed + outcome.refused >= 600 && outcome.refused > 20, "{outcome:?}");
    assert!(outcome.unanswered > 0, "it was killed while nobody asked for anything: {outcome:?}");
    Ok(())
}
