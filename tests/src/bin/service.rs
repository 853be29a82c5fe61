//! The service's own program, so that tests of this package find it built and fresh.

use std::process::ExitCode;

fn main() -> ExitCode {
    ditto_connectivity::main()
}
