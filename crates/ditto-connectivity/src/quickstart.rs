//! The command `quickstart`.
use crate::cli::QuickstartArgs;
/// x
pub fn quickstart(_args: QuickstartArgs) -> u8 {
    0
}
