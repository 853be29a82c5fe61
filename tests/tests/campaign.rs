//! Short campaigns; `cargo xtask campaign` runs longer ones.

use ditto_tests::campaign::{self, Plan};

fn run(plan: &Plan) -> anyhow::Result<()> {
    let mut told = Vec::new();
    let outcome = campaign::run(plan, env!("CARGO_BIN_EXE_service"), |text| told.push(text))?;
    assert!(outcome.is_good(plan), "{outcome:?}\n{}", told.join("\n"));
    assert!(outcome.signals > 1_000, "{outcome:?}");
    Ok(())
}

#[test]
fn five_kills_lose_nothing() -> anyhow::Result<()> {
    run(&Plan { seed: 11, kills: 5, stops: 0, rebalances: 1, rate: 3_000 })
}

#[test]
fn stops_repeat_nothing() -> anyhow::Result<()> {
    run(&Plan { seed: 12, kills: 0, stops: 3, rebalances: 0, rate: 3_000 })
}
