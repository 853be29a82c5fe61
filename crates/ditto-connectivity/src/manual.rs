//! The commands `completions` and `man`: what shells and man know of the command line, made from the command line itself.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::{Cli, ManArgs};
use crate::exit;
use crate::process::{fail, print};

/// Prints the completions for a shell. The exit code.
pub(crate) fn completions(shell: Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
    print(&script)
}

/// Prints the main page, or writes the pages of all commands to a folder. The exit code.
pub(crate) fn man(args: &ManArgs) -> u8 {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &args.dir else {
        let mut page = Vec::new();
        return match self::page(command).render(&mut page) {
            Ok(()) => print(&page),
            Err(error) => fail(&format!("no manual page: {error}"), exit::INTERNAL),
        };
    };
    let written = std::fs::create_dir_all(folder).and_then(|()| write_pages(command, folder));
    match written {
        Ok(()) => exit::OK,
        Err(error) => fail(
            &format!("no manual pages in `{}`: {error}; name a folder to write to", folder.display()),
            exit::UNAVAILABLE,
        ),
    }
}

/// A page for the command, and one for each below it.
fn write_pages(command: clap::Command, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands() {
        write_pages(below.clone(), folder)?;
    }
    page(command).generate_to(folder).map(drop)
}

fn page(command: clap::Command) -> Man {
    // Commands below the main one have no version of their own.
    Man::new(command).source(concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")))
}
