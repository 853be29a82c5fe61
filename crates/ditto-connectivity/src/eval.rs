//! The commands `eval` and `explain`: an expression of a definition, or all of it, tried on signals.

mod address;
mod enrichment;
mod explain;
mod filter;
mod input;
mod mistake;
mod output;
mod placeholder;
mod rql;
mod shown;
mod topic;

pub(crate) use self::explain::explain_with;
use self::output::Output;
use crate::cli::{EvalCommand, ExplainArgs};

/// Tries an expression and says what it gives, or what is wrong with it. The exit code.
pub(crate) fn run(command: EvalCommand) -> u8 {
    let (on, files) = match &command {
        EvalCommand::Rql(args) => (&args.on, args.thing.as_slice()),
        EvalCommand::Topic(args) => (&args.on, args.thing.as_slice()),
        EvalCommand::Placeholder(args) => (&args.on, &[][..]),
        EvalCommand::Address(args) => (&args.on, &[][..]),
    };
    let mut output = Output::new(on.format);
    let done = input::stdin_at_most_once(on.signal.iter().chain(files)).and_then(|()| match &command {
        EvalCommand::Rql(args) => rql::run(args, &mut output),
        EvalCommand::Placeholder(args) => placeholder::run(args, &mut output),
        EvalCommand::Address(args) => address::run(args, &mut output),
        EvalCommand::Topic(args) => topic::run(args, &mut output),
    });
    output.end(done)
}

/// Says what becomes of signals at each target of a connection, and why. The exit code.
pub(crate) fn explain(args: &ExplainArgs) -> u8 {
    let mut output = Output::new(args.on.format);
    let files = args.on.signal.iter().chain(&args.policy).chain(&args.thing);
    let done = input::stdin_at_most_once(files.chain([&args.connection]));
    let done = done.and_then(|()| explain::run(args, &mut output));
    output.end(done)
}
