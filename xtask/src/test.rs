//! `cargo xtask test`: every test, against a real broker.

use std::process::ExitCode;

use xshell::cmd;

use crate::broker::Held;
use crate::steps::Steps;
use crate::workspace;

/// Where tests find `broker.json`.
pub(crate) const BROKER_VARIABLE: &str = "DITTO_TEST_BROKER";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Passed on to `cargo test --release`; with a package, a target or a filter, only that runs
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CARGO_TEST_ARGS")]
    args: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shell = workspace::shell()?;
    let dir =
        workspace::absolute(&workspace::target_dir())?.join(format!("broker-test-{}", std::process::id()));
    let plan = Plan::of(&args.args);
    let mut steps = Steps::default();
    let broker = steps.run("broker up", || Held::start(&dir))?;
    let outcome = plan.0.iter().try_for_each(|(name, flags)| {
        let command =
            cmd!(shell, "cargo test --release {flags...}").env(BROKER_VARIABLE, broker.state_file());
        steps.run(name, || Ok(command.run()?))
    });
    let down = steps.run("broker down", || broker.stop());
    steps.print();
    outcome.and(down).map(|()| ExitCode::SUCCESS)
}

/// The calls of cargo with their names.
#[derive(Debug, PartialEq, Eq)]
struct Plan(Vec<(&'static str, Vec<String>)>);

impl Plan {
    /// Without a choice by the caller: everything, and then the documentation's examples, which `--all-targets` leaves out.
    fn of(args: &[String]) -> Self {
        const PACKAGE: [&str; 5] = ["-p", "--package", "--workspace", "--all", "--manifest-path"];
        const TARGET: [&str; 9] = [
            "--lib",
            "--bin",
            "--bins",
            "--test",
            "--tests",
            "--example",
            "--examples",
            "--bench",
            "--benches",
        ];
        let cargo: Vec<_> = args.iter().take_while(|arg| *arg != "--").collect();
        let names = |names: &[&str]| {
            cargo.iter().any(|arg| {
                let name = arg.split_once('=').map_or(arg.as_str(), |(name, _)| name);
                names.contains(&name) || names.contains(&"-p") && name.starts_with("-p")
            })
        };
        let of_package = if names(&PACKAGE) { None } else { Some("--workspace") };
        let call = |target: Option<&str>| {
            let flags = [of_package, target].into_iter().flatten().map(str::to_owned);
            flags.chain(args.iter().cloned()).collect()
        };
        if names(&["--doc"]) {
            return Self(vec![("doc tests", call(None))]);
        }
        if names(&TARGET) || names(&["--all-targets"]) {
            return Self(vec![("tests", call(None))]);
        }
        Self(vec![("tests", call(Some("--all-targets"))), ("doc tests", call(Some("--doc")))])
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[track_caller]
    fn check(args: &str, expected: &[&str]) {
        let args: Vec<_> = args.split_whitespace().map(str::to_owned).collect();
        let calls: Vec<_> = Plan::of(&args).0.into_iter().map(|(_, flags)| flags.join(" ")).collect();
        assert_eq!(calls, expected);
    }

    #[test]
    fn everything_unless_chosen() {
        check("", &["--workspace --all-targets", "--workspace --doc"]);
        check("some_name", &["--workspace --all-targets some_name", "--workspace --doc some_name"]);
        check(
            "-- --nocapture",
            &["--workspace --all-targets -- --nocapture", "--workspace --doc -- --nocapture"],
        );
        check("-p ditto-json", &["--all-targets -p ditto-json", "--doc -p ditto-json"]);
        check("-p x --test=kafka -- --lib", &["-p x --test=kafka -- --lib"]);
        check("--doc", &["--workspace --doc"]);
        check("-- -p", &["--workspace --all-targets -- -p", "--workspace --doc -- -p"]);
    }
}
