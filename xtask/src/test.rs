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
    /// Passed on to `cargo test --release`; for example a package, a target or a filter
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
        let command = cmd!(shell, "cargo test --release --no-fail-fast {flags...}")
            .env(BROKER_VARIABLE, broker.state_file());
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
    /// Everything, and then the documentation's examples, which `--all-targets` leaves out; with arguments one call, which
    /// covers the documentation's examples unless a target is chosen.
    fn of(args: &[String]) -> Self {
        const PACKAGE: [&str; 4] = ["--package", "--workspace", "--all", "--manifest-path"];
        let call = |flags: &[&str]| flags.iter().copied().map(str::to_owned).collect::<Vec<_>>();
        if args.is_empty() {
            let targets = call(&["--workspace", "--all-targets"]);
            return Self(vec![("tests", targets), ("doc tests", call(&["--workspace", "--doc"]))]);
        }
        let of_package = args.iter().take_while(|arg| *arg != "--").any(|arg| {
            let name = arg.split_once('=').map_or(arg.as_str(), |(name, _)| name);
            PACKAGE.contains(&name) || name.starts_with("-p")
        });
        let mut flags = call(if of_package { &[] } else { &["--workspace"] });
        flags.extend_from_slice(args);
        Self(vec![("tests", flags)])
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
        check("some_name", &["--workspace some_name"]);
        check("-- --nocapture", &["--workspace -- --nocapture"]);
        check("-p ditto-json", &["-p ditto-json"]);
        check("--package=x --test=kafka -- --lib", &["--package=x --test=kafka -- --lib"]);
        check("--doc", &["--workspace --doc"]);
        check("-- -p", &["--workspace -- -p"]);
    }
}
