//! Short campaigns; `cargo xtask campaign` runs longer ones.

use ditto_tests::campaign::{self, Faults, Plan};

fn run(seed: u64, rate: u64, faults: Faults) -> anyhow::Result<()> {
    let plan = Plan { seed, faults, rate, logs: None };
    let mut told = Vec::new();
    let outcome = campaign::run(&plan, env!("CARGO_BIN_EXE_service"), |text| told.push(text))?;
    assert!(outcome.is_good(&plan), "{outcome:?}\n{}", told.join("\n"));
    assert!(outcome.signals > 1_000, "{outcome:?}");
    Ok(())
}

#[test]
fn five_kills_lose_nothing() -> anyhow::Result<()> {
    run(11, 3_000, Faults { kills: 5, rebalances: 1, ..Faults::default() })
}

#[test]
fn stops_repeat_nothing() -> anyhow::Result<()> {
    run(12, 3_000, Faults { stops: 3, ..Faults::default() })
}

/// The only one that goes through the proxy: its port is one for the whole broker.
#[test]
fn trouble_of_the_network_loses_nothing() -> anyhow::Result<()> {
    // A reset for 1 s, what goes to the broker swallowed for 3 s, 138 kB/s for 7 s.
    run(65, 1_000, Faults { network: 3, ..Faults::default() })
}
