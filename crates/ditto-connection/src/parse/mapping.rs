//! Payload mappers (mapping.md §1).

use serde_json::Value;

use super::Surroundings;
use super::reader::{CONFIGURATION_INVALID, Object, Reader, did_you_mean, shorten};
use crate::mapper::{BUILT_IN_MAPPERS, BuiltInMapper, LEGACY_DEFINITION, MapperFinding, MappingDefinition};
use crate::members;
use crate::nearest::nearest;
use crate::report::{Check, Severity};

/// Payload mappers that a source may have, or a target (connection-model.md §10).
const MAX_MAPPERS: usize = 10;

/// Definitions that a misspelt name is compared with.
const MAX_LIKENED: usize = 20;

/// Bytes that a script may have (connection-model.md §10).
const MAX_SCRIPT: usize = 50_000;

impl Reader<'_> {
    /// Definitions, and whether one of them is that of `mappingContext`.
    pub(super) fn mapping_definitions(&mut self, root: &Object<'_>) -> (Vec<MappingDefinition>, bool) {
        let context = self.object(root, "mappingContext");
        let migrated = context.as_ref().map(|context| self.mapping_definition(LEGACY_DEFINITION, context));
        let mut definitions = Vec::new();
        if let Some(all) = self.object(root, "mappingDefinitions") {
            for (id, value) in all.members {
                let at = all.pointer(id);
                match value {
                    Value::Object(members) => {
                        definitions.extend(self.mapping_definition(id, &Object { members, at }));
                    }
                    _ => self.note(&at, "this definition is no object: it is dropped", "remove it"),
                }
            }
        }
        let is_migrated = migrated.is_some();
        if let Some(migrated) = migrated.flatten() {
            match definitions.iter_mut().find(|it| it.id == LEGACY_DEFINITION) {
                Some(definition) => *definition = migrated,
                None => definitions.push(migrated),
            }
        }
        (definitions, is_migrated)
    }

    fn mapping_definition(&mut self, id: &str, object: &Object<'_>) -> Option<MappingDefinition> {
        self.known(object, &members::MAPPING_DEFINITION);
        let engine = self.required_text(object, "mappingEngine");
        if object.get("options").is_none() {
            self.missing(object, "options");
        }
        let options = self.object(object, "options");
        let incoming_conditions = self.any_map(object, "incomingConditions");
        let outgoing_conditions = self.any_map(object, "outgoingConditions");
        Some(MappingDefinition {
            id: id.to_owned(),
            engine: engine?.to_owned(),
            options: options?.members.clone(),
            incoming_conditions,
            outgoing_conditions,
        })
    }

    /// The mappers of a source or a target. Definitions that nobody names are not looked at, as in the reference.
    pub(super) fn payload_mapping(&mut self, object: &Object<'_>, around: &Surroundings<'_>) -> Vec<String> {
        let at = object.pointer("payloadMapping");
        let given = self.some_texts(object, "payloadMapping");
        let mut named: Vec<(String, String)> =
            given.into_iter().map(|(n, name)| (format!("{at}/{n}"), name.to_owned())).collect();
        if around.is_migrated {
            named.push(("/mappingContext".to_owned(), LEGACY_DEFINITION.to_owned()));
        }
        if named.len() > MAX_MAPPERS {
            let reason = format!("{} payload mappers are more than {MAX_MAPPERS}", named.len());
            self.invalid(Check::MapperLimits, &at, reason, "use fewer");
        }
        for (pointer, name) in &named {
            // Names are compared with definitions: that of a definition which is refused anyway has an end.
            if !(self.is_told_enough() && self.report.has_errors()) {
                self.mapper(pointer, name, around);
            }
        }
        named.into_iter().map(|(_, name)| name).collect()
    }

    fn mapper(&mut self, pointer: &str, name: &str, around: &Surroundings<'_>) {
        let Some(definition) = around.definitions.iter().find(|it| it.id == name) else {
            let is_plain = members::plain_mappers().any(|plain| plain == name);
            if !is_plain && !self.is_definition_refused(name) {
                let mut known: Vec<&str> = members::plain_mappers().collect();
                known.extend(around.definitions.iter().map(|it| it.id.as_str()).take(MAX_LIKENED));
                let remedy = match (BuiltInMapper::find(name), nearest(name, known)) {
                    (Some(_), _) => format!("it needs options: define it in `mappingDefinitions`, as {name}"),
                    (None, Some(nearest)) => format!("did you mean `{nearest}`?"),
                    (None, None) => "define it in `mappingDefinitions`".to_owned(),
                };
                let reason = format!("there is no payload mapper `{}`", shorten(name));
                self.invalid(Check::Mappers, pointer, reason, &remedy);
            }
            return;
        };
        // Others may name it too; told once is enough.
        if !self.checked_mappers.insert(name.to_owned()) {
            return;
        }
        let findings = if BuiltInMapper::find(&definition.engine).is_none() {
            let aliases = BUILT_IN_MAPPERS.map(|it| it.alias);
            vec![MapperFinding {
                severity: Severity::Error,
                pointer: "/mappingEngine".to_owned(),
                reason: format!("there is no mapping engine `{}`", shorten(&definition.engine)),
                remedy: did_you_mean(&definition.engine, &aliases),
            }]
        } else if let Some(finding) = script_too_long(definition) {
            vec![finding]
        } else {
            self.draft.mappers.map(|check| check(definition)).unwrap_or_default()
        };
        let at = place_of(name, around.is_migrated);
        for MapperFinding { severity, pointer, reason, remedy } in findings {
            if severity != Severity::Error && self.is_told_enough() {
                continue;
            }
            let pointer = format!("{at}{pointer}");
            self.find(severity, Check::Mappers, &pointer, CONFIGURATION_INVALID, reason, &remedy);
        }
    }

    /// Definitions that are kept and do nothing.
    pub(super) fn unnamed_mappers(&mut self, definitions: &[MappingDefinition], is_migrated: bool) {
        for definition in definitions {
            if self.is_told_enough() {
                return;
            }
            if !self.checked_mappers.contains(&definition.id) {
                let at = place_of(&definition.id, is_migrated);
                let reason = "no source and no target names this payload mapper: it has no effect";
                self.note(&at, reason, "name it in a `payloadMapping`, or remove it");
            }
        }
    }

    /// Whether the definition was given and is wrong, which is reported already.
    fn is_definition_refused(&self, name: &str) -> bool {
        let pointer = format!("/mappingDefinitions/{}/", name.replace('~', "~0").replace('/', "~1"));
        let context = name == LEGACY_DEFINITION;
        self.report
            .findings()
            .iter()
            .filter(|it| it.check == Check::Read)
            .any(|it| it.pointer.contains(&pointer) || context && it.pointer.contains("/mappingContext/"))
    }
}

/// Where a definition stands.
fn place_of(name: &str, is_migrated: bool) -> String {
    match is_migrated && name == LEGACY_DEFINITION {
        true => "/mappingContext".to_owned(),
        false => format!("/mappingDefinitions/{}", name.replace('~', "~0").replace('/', "~1")),
    }
}

fn script_too_long(definition: &MappingDefinition) -> Option<MapperFinding> {
    let is_script = BuiltInMapper::find(&definition.engine).is_some_and(|it| it.alias == "JavaScript");
    let scripts = ["incomingScript", "outgoingScript"].into_iter().filter(|_| is_script);
    let mut lengths = scripts.filter_map(|name| Some((name, definition.options.get(name)?.as_str()?.len())));
    let (name, length) = lengths.find(|(_, length)| *length > MAX_SCRIPT)?;
    Some(MapperFinding {
        severity: Severity::Error,
        pointer: format!("/options/{name}"),
        reason: format!("the script has {length} bytes, and may have {MAX_SCRIPT}"),
        remedy: "shorten it".to_owned(),
    })
}
