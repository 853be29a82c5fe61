//! Short campaigns; `cargo xtask campaign` runs longer ones.

use ditto_tests::campaign::{self, Faults, Load, Outcome, Plan};

fn run(seed: u64, rate: u64, faults: Faults) -> anyhow::Result<()> {
    play(&Plan { seed, faults, load: Load::Plain, rate, signals: None, logs: None })?;
    Ok(())
}

fn play(plan: &Plan) -> anyhow::Result<Outcome> {
    let mut told = Vec::new();
    let outcome = campaign::run(plan, env!("CARGO_BIN_EXE_service"), |text| told.push(text))?;
    assert!(outcome.is_good(plan), "{outcome:?}\n{}", told.join("\n"));
    assert!(outcome.signals > 1_000, "{outcome:?}");
    Ok(outcome)
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

/// Filters, extra fields, a script and CloudEvents: what comes out is what the oracle says, and so are the counters.
#[test]
fn what_is_mapped_is_as_it_must_be() -> anyhow::Result<()> {
    mapped(21, Faults::default())
}

#[test]
fn kills_lose_nothing_that_is_mapped() -> anyhow::Result<()> {
    mapped(22, Faults { kills: 2, ..Faults::default() })
}

fn mapped(seed: u64, faults: Faults) -> anyhow::Result<()> {
    let outcome =
        play(&Plan { seed, faults, load: Load::Mapped, rate: 1_500, signals: Some(6_000), logs: None })?;
    assert!(outcome.failed > 50 && outcome.letters as u64 >= outcome.failed, "{outcome:?}");
    Ok(())
}
