//! Payload mappers by name (mapping.md §1). What their options mean is not known here.

use serde_json::{Map, Value};

use crate::report::Severity;

/// A payload mapper that a connection defines.
#[derive(Debug, Clone, PartialEq)]
pub struct MappingDefinition {
    pub(crate) id: String,
    pub(crate) engine: String,
    pub(crate) options: Map<String, Value>,
    pub(crate) incoming_conditions: Vec<(String, String)>,
    pub(crate) outgoing_conditions: Vec<(String, String)>,
}

impl MappingDefinition {
    /// The name that `payloadMapping` has.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Alias, or name of the class that Ditto has for it.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// Its options, as they were given.
    pub fn options(&self) -> &Map<String, Value> {
        &self.options
    }

    /// What must hold of a message from Kafka, by name.
    pub fn incoming_conditions(&self) -> &[(String, String)] {
        &self.incoming_conditions
    }

    /// What must hold of a signal to Kafka, by name.
    pub fn outgoing_conditions(&self) -> &[(String, String)] {
        &self.outgoing_conditions
    }
}

/// What is wrong with the options of a payload mapper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapperFinding {
    /// What it means for the definition.
    pub severity: Severity,
    /// Where, as a JSON pointer within the definition, such as `/options/incomingScript`.
    pub pointer: String,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// What knows the options of payload mappers.
pub(crate) type MapperCheck<'a> = &'a dyn Fn(&MappingDefinition) -> Vec<MapperFinding>;

/// A payload mapper that Ditto has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltInMapper {
    /// Its name.
    pub alias: &'static str,
    /// The other name that a definition may have for it.
    pub class: &'static str,
    /// Whether it works without options, so that its name may stand in `payloadMapping`.
    pub is_plain: bool,
}

const fn mapper(alias: &'static str, class: &'static str, is_plain: bool) -> BuiltInMapper {
    BuiltInMapper { alias, class, is_plain }
}

/// All of them.
pub const BUILT_IN_MAPPERS: [BuiltInMapper; 8] = [
    mapper("Ditto", "org.eclipse.ditto.connectivity.service.mapping.DittoMessageMapper", true),
    mapper("Normalized", "org.eclipse.ditto.connectivity.service.mapping.NormalizedMessageMapper", true),
    mapper("RawMessage", "org.eclipse.ditto.connectivity.service.mapping.RawMessageMapper", true),
    mapper("CloudEvents", "org.eclipse.ditto.connectivity.service.mapping.CloudEventsMapper", true),
    mapper(
        "UpdateTwinWithLiveResponse",
        "org.eclipse.ditto.connectivity.service.mapping.UpdateTwinWithLiveResponseMessageMapper",
        true,
    ),
    mapper(
        "JavaScript",
        "org.eclipse.ditto.connectivity.service.mapping.javascript.JavaScriptMessageMapperRhino",
        false,
    ),
    mapper(
        "ConnectionStatus",
        "org.eclipse.ditto.connectivity.service.mapping.ConnectionStatusMessageMapper",
        false,
    ),
    mapper(
        "ImplicitThingCreation",
        "org.eclipse.ditto.connectivity.service.mapping.ImplicitThingCreationMessageMapper",
        false,
    ),
];

impl BuiltInMapper {
    /// The mapper that `engine` names.
    pub fn find(engine: &str) -> Option<&'static Self> {
        BUILT_IN_MAPPERS.iter().find(|it| it.alias == engine || it.class == engine)
    }
}

/// The definition that the member `mappingContext` becomes.
pub(crate) const LEGACY_DEFINITION: &str = "javascript";
