//! Scripts of a definition.

use std::sync::Arc;

use ditto_mapping::{CompiledMapper, Mapper, MapperFactory, MappingError, Options};

use crate::engine::Engine;
use crate::limits::ScriptLimits;
use crate::mapper::JavaScriptMapper;

const INCOMING: &str = "incomingScript";
const OUTGOING: &str = "outgoingScript";
const BYTEBUFFER: &str = "loadBytebufferJS";
const LONG: &str = "loadLongJS";

/// The code with which the reference refuses a script.
const CONFIG_FAILED: &str = "connectivity:message.mapper.config.failed";

/// Reads definitions with the engine `JavaScript`.
#[derive(Debug, Clone, Copy, Default)]
pub struct JavaScriptFactory {
    limits: ScriptLimits,
}

impl JavaScriptFactory {
    /// Scripts with these bounds.
    pub fn new(limits: ScriptLimits) -> Self {
        Self { limits }
    }
}

/// The scripts of a definition; an empty one is none.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) incoming: String,
    pub(crate) outgoing: String,
    limits: ScriptLimits,
}

impl Scripts {
    /// The scope of the scripts, or the option that is wrong and why.
    pub(crate) fn engine(&self) -> Result<Engine, (&'static str, String)> {
        Engine::new(&[(INCOMING, self.incoming.as_str()), (OUTGOING, self.outgoing.as_str())], self.limits)
    }
}

impl MapperFactory for JavaScriptFactory {
    fn engine(&self) -> &'static str {
        "JavaScript"
    }

    fn class(&self) -> &'static str {
        "org.eclipse.ditto.connectivity.service.mapping.javascript.JavaScriptMessageMapperRhino"
    }

    fn needs_options(&self) -> bool {
        true
    }

    fn option_names(&self) -> &'static [&'static str] {
        &[INCOMING, OUTGOING, BYTEBUFFER, LONG]
    }

    fn compile(&self, options: &mut Options<'_>) -> Option<Arc<dyn CompiledMapper>> {
        let mut script = |name: &str| {
            let text = options.text(name).unwrap_or_default().into_owned();
            let length = text.encode_utf16().count();
            if length > self.limits.max_script {
                let reason =
                    format!("the script has {length} characters, more than {}", self.limits.max_script);
                options.refuse_with(CONFIG_FAILED, name, reason, "shorten it");
            }
            text
        };
        let (incoming, outgoing) = (script(INCOMING), script(OUTGOING));
        if options.flag(BYTEBUFFER) == Some(true) {
            options.refuse_with(
                CONFIG_FAILED,
                BYTEBUFFER,
                "bytebuffer.js is not built in yet",
                "use Uint8Array and DataView",
            );
        }
        if options.has_errors() {
            return None;
        }
        let scripts = Scripts { incoming, outgoing, limits: self.limits };
        if let Err((name, why)) = scripts.engine() {
            options.refuse_with(CONFIG_FAILED, name, why, "mend the script");
        }
        Some(Arc::new(JavaScript(Arc::new(scripts))))
    }
}

#[derive(Debug)]
struct JavaScript(Arc<Scripts>);

impl CompiledMapper for JavaScript {
    fn instance(&self) -> Result<Box<dyn Mapper>, MappingError> {
        Ok(Box::new(JavaScriptMapper::new(self.0.clone())))
    }
}
