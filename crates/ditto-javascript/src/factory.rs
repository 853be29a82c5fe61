//! Scripts of a definition.

use std::sync::Arc;

use ditto_mapping::{CompiledMapper, Mapper, MapperFactory, MappingError, Options};

use crate::engine::Script;
use crate::limits::ScriptLimits;
use crate::mapper::JavaScriptMapper;
use crate::scopes::{Scope, Scopes, ScriptUsage};

const INCOMING: &str = "incomingScript";
const OUTGOING: &str = "outgoingScript";
const BYTEBUFFER: &str = "loadBytebufferJS";
const LONG: &str = "loadLongJS";

/// Libraries that scripts may ask for, as they were published ([where they come from](../js/README.md)).
const BYTEBUFFER_LIBRARY: &str = include_str!("../js/bytebuffer.min.js");
const LONG_LIBRARY: &str = include_str!("../js/long.min.js");

/// The code with which the reference refuses a script.
const CONFIG_FAILED: &str = "connectivity:message.mapper.config.failed";

/// Reads definitions with the engine `JavaScript`.
#[derive(Debug, Clone)]
pub struct JavaScriptFactory {
    scopes: Arc<Scopes>,
}

impl Default for JavaScriptFactory {
    fn default() -> Self {
        Self::new(ScriptLimits::default())
    }
}

impl JavaScriptFactory {
    /// Scripts with these bounds.
    pub fn new(limits: ScriptLimits) -> Self {
        Self { scopes: Arc::new(Scopes::new(limits)) }
    }

    /// What its scripts have used so far, and which of them should have ended.
    pub fn usage(&self) -> ScriptUsage {
        self.scopes.usage()
    }
}

/// The scripts of a definition; an empty one is none.
#[derive(Debug)]
pub(crate) struct Scripts {
    definition: Box<str>,
    pub(crate) incoming: String,
    pub(crate) outgoing: String,
    has_long: bool,
    has_bytebuffer: bool,
    scopes: Arc<Scopes>,
}

impl Scripts {
    /// In the order in which they are evaluated; those that are not there are empty.
    pub(crate) fn all(&self) -> [Script<'_>; 4] {
        let library = |is_loaded, text| if is_loaded { text } else { "" };
        [
            (LONG, library(self.has_long, LONG_LIBRARY)),
            (BYTEBUFFER, library(self.has_bytebuffer, BYTEBUFFER_LIBRARY)),
            (INCOMING, &self.incoming),
            (OUTGOING, &self.outgoing),
        ]
        .map(|(name, text)| Script { name, text })
    }

    /// A scope for them, which is not made yet.
    pub(crate) fn scope(&self) -> Arc<Scope> {
        Scope::new(self.scopes.clone(), &self.definition)
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
            let most = self.scopes.limits().max_script;
            if length > most {
                let reason = format!("the script has {length} characters, more than {most}");
                options.refuse_with(CONFIG_FAILED, name, reason, "shorten it");
            }
            text
        };
        let (incoming, outgoing) = (script(INCOMING), script(OUTGOING));
        if options.has_errors() {
            return None;
        }
        let definition = options.definition().into();
        let scripts = Scripts {
            definition,
            incoming,
            outgoing,
            has_long: options.flag(LONG) == Some(true),
            has_bytebuffer: options.flag(BYTEBUFFER) == Some(true),
            scopes: self.scopes.clone(),
        };
        if let Err((name, why)) = self.scopes.engine(&scripts.definition, &scripts.all()) {
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
