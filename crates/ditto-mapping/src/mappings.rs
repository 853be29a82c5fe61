//! The mappers of a connection (mapping.md §1).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ditto_protocol::ErrorCode;
use serde_json::{Map, Value};

use crate::condition::Conditions;
use crate::engines::Engines;
use crate::finding::{Finding, Severity, below, nearest};
use crate::mapper::{CompiledMapper, MapperFactory};
use crate::options::{Options, text_of};

/// The most mappers that one source or target may have.
const MAX_MAPPERS: usize = 10;

/// The id of the mapper that maps where none is named.
const DEFAULT: &str = "default";

/// The engine that maps as it reads.
const DITTO: &str = "Ditto";

const BLOCKLIST: &str = "content-type-blocklist";

/// A mapper with its id, its conditions and what it leaves out.
#[derive(Debug)]
pub(crate) struct NamedMapper {
    pub(crate) id: Box<str>,
    pub(crate) engine: &'static str,
    pub(crate) blocklist: Vec<String>,
    pub(crate) incoming: Conditions,
    pub(crate) outgoing: Conditions,
    pub(crate) mapper: Arc<dyn CompiledMapper>,
}

/// The mappers that a connection may name: its definitions, and those that need none.
#[derive(Debug)]
pub struct Mappings {
    default: MapperList,
    /// By id; a definition that cannot be used has none.
    defined: BTreeMap<String, Option<Arc<NamedMapper>>>,
    built_in: BTreeMap<&'static str, Arc<NamedMapper>>,
    /// What can be named only by a definition.
    needing: Vec<&'static str>,
    /// With the id of the definition.
    findings: Vec<(String, Finding)>,
}

/// The mappers of one source or target, in order.
#[derive(Debug, Clone)]
pub struct MapperList(pub(crate) Arc<[Arc<NamedMapper>]>);

/// The same mappers in the same order: what one has made of a signal, the other would make too.
impl PartialEq for MapperList {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&*other.0).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

impl Eq for MapperList {}

impl Hash for MapperList {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|mapper| Arc::as_ptr(mapper).hash(state));
    }
}

impl MapperList {
    /// The ids of its mappers, each with its engine.
    pub fn ids(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.0.iter().map(|mapper| (&*mapper.id, mapper.engine))
    }

    /// Whether it is the Ditto mapper alone, without a condition: what goes out is the signal as it is written.
    pub fn is_ditto(&self) -> bool {
        matches!(&*self.0, [only] if only.engine == DITTO && only.outgoing.is_empty())
    }

    /// Its mappers with their ids, to be tried one by one: without conditions, and with a state of their own.
    pub fn mappers(&self) -> impl Iterator<Item = (&str, &dyn CompiledMapper)> {
        self.0.iter().map(|mapper| (&*mapper.id, &*mapper.mapper))
    }
}

impl Mappings {
    /// Reads the member `mappingDefinitions` of a connection. What is wrong with it is in [`Self::findings`]; a definition
    /// that cannot be used is missed only where it is named.
    pub fn read(definitions: Option<&Value>, engines: &Engines) -> Self {
        let mut reader = Reader { engines, findings: Vec::new() };
        let built_in: BTreeMap<_, _> = engines
            .factories()
            .filter(|factory| !factory.needs_options())
            .filter_map(|factory| Some((factory.engine(), reader.built_in(factory.engine(), factory)?)))
            .collect();
        let default = engines.default_factory();
        let default = reader.built_in(DEFAULT, &*default).into_iter().collect();
        reader.findings.clear();
        let needing = engines
            .factories()
            .filter(|factory| factory.needs_options())
            .map(MapperFactory::engine)
            .collect();
        Self {
            needing,
            defined: reader.definitions(definitions),
            built_in,
            default: MapperList(default),
            findings: reader.findings,
        }
    }

    /// What is wrong with the definitions. With those that `is_named` names nothing can be done while there is an error;
    /// of the others an error is only a warning, since the reference never looks at them.
    pub fn findings(&self, is_named: impl Fn(&str) -> bool) -> Vec<Finding> {
        let judge = |(id, finding): &(String, Finding)| {
            let mut finding = finding.clone();
            if !is_named(id) && finding.severity == Severity::Error && !id.is_empty() {
                finding.severity = Severity::Warning;
            }
            finding
        };
        self.findings.iter().map(judge).collect()
    }

    /// The mappers of a `payloadMapping`, which stands at `pointer`. Definitions come before mappers that need none; an
    /// empty list is the Ditto mapper.
    ///
    /// # Errors
    /// Each id that names no mapper, with the one that it is most like; too many of them.
    pub fn list<S: AsRef<str>>(&self, ids: &[S], pointer: &str) -> Result<MapperList, Vec<Finding>> {
        if ids.is_empty() {
            return Ok(self.default.clone());
        }
        let mut findings = Vec::new();
        let mut find = |pointer: String, reason: String, remedy: String| {
            let code = ErrorCode::CONFIGURATION_INVALID.name();
            findings.push(Finding { severity: Severity::Error, pointer, code, reason, remedy });
        };
        if ids.len() > MAX_MAPPERS {
            let reason = format!("{} payload mappers are more than {MAX_MAPPERS}", ids.len());
            find(pointer.to_owned(), reason, "name fewer".to_owned());
        }
        let mut mappers = Vec::with_capacity(ids.len());
        for (n, id) in ids.iter().enumerate() {
            let id = id.as_ref();
            match (self.defined.get(id), self.built_in.get(id)) {
                (Some(Some(mapper)), _) | (None, Some(mapper)) => mappers.push(mapper.clone()),
                (Some(None), _) => find(
                    format!("{pointer}/{n}"),
                    format!("the definition of payload mapper `{id}` cannot be used"),
                    format!("mend it at {}", below("/mappingDefinitions", id)),
                ),
                (None, None) => {
                    find(
                        format!("{pointer}/{n}"),
                        format!("there is no payload mapper `{id}`"),
                        self.instead_of(id),
                    );
                }
            }
        }
        if findings.is_empty() { Ok(MapperList(mappers.into())) } else { Err(findings) }
    }

    fn instead_of(&self, id: &str) -> String {
        if self.needing.contains(&id) {
            return format!(
                "it needs options: define it in `mappingDefinitions`, with `{id}` as `mappingEngine`"
            );
        }
        let defined = self.defined.iter().filter(|(_, mapper)| mapper.is_some()).map(|(id, _)| id.as_str());
        let known = || defined.clone().chain(self.built_in.keys().copied());
        match nearest(id, known()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("name one of {}", known().collect::<Vec<_>>().join(", ")),
        }
    }
}

struct Reader<'e> {
    engines: &'e Engines,
    findings: Vec<(String, Finding)>,
}

impl Reader<'_> {
    fn definitions(&mut self, definitions: Option<&Value>) -> BTreeMap<String, Option<Arc<NamedMapper>>> {
        const AT: &str = "/mappingDefinitions";
        let members = match definitions {
            None | Some(Value::Null) => return BTreeMap::new(),
            Some(Value::Object(members)) => members,
            Some(_) => {
                self.error(
                    "",
                    AT.to_owned(),
                    ErrorCode::JSON_INVALID,
                    "`mappingDefinitions` is not an object".to_owned(),
                    WRITE_DEFINITION,
                );
                return BTreeMap::new();
            }
        };
        members
            .iter()
            .map(|(id, definition)| (id.clone(), self.definition(id, definition, &below(AT, id))))
            .collect()
    }

    fn definition(&mut self, id: &str, definition: &Value, at: &str) -> Option<Arc<NamedMapper>> {
        let Value::Object(members) = definition else {
            self.error(
                id,
                at.to_owned(),
                ErrorCode::JSON_INVALID,
                format!("definition `{id}` is not an object"),
                WRITE_DEFINITION,
            );
            return None;
        };
        for name in members.keys() {
            const KNOWN: [&str; 4] = ["mappingEngine", "options", "incomingConditions", "outgoingConditions"];
            if !KNOWN.contains(&name.as_str()) {
                self.unknown(id, at, name, &KNOWN);
            }
        }
        let options = self.object(id, members, at, "options");
        let incoming = self.conditions(id, members, at, "incomingConditions");
        let outgoing = self.conditions(id, members, at, "outgoingConditions");
        let engine_at = below(at, "mappingEngine");
        let engine = match members.get("mappingEngine") {
            Some(Value::String(engine)) => engine,
            Some(_) => {
                self.error(
                    id,
                    engine_at,
                    ErrorCode::JSON_INVALID,
                    "`mappingEngine` is not a string".to_owned(),
                    WRITE_DEFINITION,
                );
                return None;
            }
            None => {
                self.error(
                    id,
                    at.to_owned(),
                    ErrorCode::JSON_FIELD_MISSING,
                    "`mappingEngine` is missing".to_owned(),
                    WRITE_DEFINITION,
                );
                return None;
            }
        };
        let Some(factory) = self.engines.find(engine) else {
            let reason = format!("there is no mapping engine `{engine}`");
            let remedy = self.engines.instead_of(engine);
            self.error(id, engine_at, ErrorCode::CONFIGURATION_INVALID, reason, &remedy);
            return None;
        };
        self.mapper(id, factory, Cow::Borrowed(options?), &below(at, "options"), (incoming?, outgoing?))
    }

    fn built_in(&mut self, id: &str, factory: &dyn MapperFactory) -> Option<Arc<NamedMapper>> {
        self.mapper(id, factory, Cow::Owned(Map::new()), "", (Conditions::default(), Conditions::default()))
    }

    fn mapper(
        &mut self,
        id: &str,
        factory: &dyn MapperFactory,
        options: Cow<'_, Map<String, Value>>,
        at: &str,
        (incoming, outgoing): (Conditions, Conditions),
    ) -> Option<Arc<NamedMapper>> {
        let mut options = Options::new(options, at.to_owned());
        let blocklist = match options.text(BLOCKLIST) {
            // Neither blanks nor parameters are looked at.
            Some(text) => text.split(',').map(str::to_owned).collect(),
            None => factory.default_blocklist().iter().map(|it| (*it).to_owned()).collect(),
        };
        let known: Vec<&str> = factory.option_names().iter().copied().chain([BLOCKLIST]).collect();
        let unknown: Vec<String> =
            options.names().filter(|name| !known.contains(name)).map(str::to_owned).collect();
        for name in unknown {
            self.unknown(id, at, &name, &known);
        }
        let mapper = factory.compile(&mut options);
        let mapper = mapper.filter(|_| !options.has_errors());
        self.findings.extend(options.into_findings().into_iter().map(|finding| (id.to_owned(), finding)));
        let engine = factory.engine();
        Some(Arc::new(NamedMapper { id: id.into(), engine, blocklist, incoming, outgoing, mapper: mapper? }))
    }

    fn conditions(
        &mut self,
        id: &str,
        members: &Map<String, Value>,
        at: &str,
        name: &str,
    ) -> Option<Conditions> {
        let conditions = self.object(id, members, at, name)?;
        let mut findings = Vec::new();
        let conditions = Conditions::read(conditions, &below(at, name), &mut findings);
        self.findings.extend(findings.into_iter().map(|finding| (id.to_owned(), finding)));
        Some(conditions)
    }

    /// The members of a member that may be absent.
    fn object<'m>(
        &mut self,
        id: &str,
        members: &'m Map<String, Value>,
        at: &str,
        name: &str,
    ) -> Option<&'m Map<String, Value>> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        match members.get(name) {
            None | Some(Value::Null) => Some(&EMPTY),
            Some(Value::Object(members)) => Some(members),
            Some(other) => {
                let reason = format!("`{name}` is not an object: `{}`", text_of(other));
                self.error(
                    id,
                    below(at, name),
                    ErrorCode::JSON_INVALID,
                    reason,
                    "write an object, or leave it out",
                );
                None
            }
        }
    }

    fn unknown(&mut self, id: &str, at: &str, name: &str, known: &[&str]) {
        let remedy = match nearest(name, known.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("leave it out; known are {}", known.join(", ")),
        };
        let finding = Finding {
            severity: Severity::Warning,
            pointer: below(at, name),
            code: ErrorCode::CONFIGURATION_INVALID.name(),
            reason: format!("`{name}` has no effect"),
            remedy,
        };
        self.findings.push((id.to_owned(), finding));
    }

    fn error(&mut self, id: &str, pointer: String, code: ErrorCode, reason: String, remedy: &str) {
        let finding = Finding {
            severity: Severity::Error,
            pointer,
            code: code.name(),
            reason,
            remedy: remedy.to_owned(),
        };
        self.findings.push((id.to_owned(), finding));
    }
}

const WRITE_DEFINITION: &str = r#"write {"name": {"mappingEngine": "Normalized", "options": {}}}"#;

#[cfg(test)]
mod tests;
