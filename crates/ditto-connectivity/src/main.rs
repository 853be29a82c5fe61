//! The Kafka connectivity of Eclipse Ditto as one lean binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    ditto_connectivity::main()
}
