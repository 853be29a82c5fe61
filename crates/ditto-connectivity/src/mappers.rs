//! The payload mappers of the service: those of ditto-mapping, and JavaScript.

use std::sync::{Arc, LazyLock};

use ditto_connection::{Connection, Draft, ValidationReport};
use ditto_javascript::{JavaScriptFactory, ScriptUsage};
use ditto_mapping::Engines;
use ditto_outbound::{RunOptions, check_mapper};

/// One for all connections of the process, which share its bounds.
static SCRIPTS: LazyLock<Arc<JavaScriptFactory>> = LazyLock::new(Arc::default);

/// The kinds of payload mappers that a definition may have.
pub fn engines() -> Engines {
    Engines::default().with(SCRIPTS.clone())
}

/// What the scripts of all connections take.
pub(crate) fn scripts() -> ScriptUsage {
    SCRIPTS.usage()
}

/// How connections run unless it is said otherwise.
pub fn run_options() -> RunOptions {
    RunOptions { engines: engines(), ..RunOptions::default() }
}

/// Reads a definition, with the options of its payload mappers.
///
/// # Errors
/// Everything that is wrong with it, if one finding refuses it.
pub fn read_definition(draft: Draft<'_>) -> Result<Connection, ValidationReport> {
    let engines = engines();
    draft.with_mappers(&|definition| check_mapper(definition, &engines)).read()
}
