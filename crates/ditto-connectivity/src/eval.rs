//! The command `eval`: an expression of a definition, tried.

mod address;
mod enrichment;
mod filter;
mod input;
mod mistake;
mod output;
mod placeholder;
mod rql;
mod shown;
mod topic;

use self::output::Output;
use crate::cli::EvalCommand;

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
