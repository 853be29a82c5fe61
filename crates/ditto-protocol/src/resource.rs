//! What a signal is about, by its path (protocol.md §3, §4).

use crate::error::{ErrorCode, ProtocolError};
use crate::id::{check_key, shorten};
use crate::topic::Segments;

/// A resource of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of the protocol's resources say it")]
pub enum ThingResource {
    Thing,
    PolicyId,
    Definition,
    Attributes,
    Attribute,
    Features,
    Feature,
    FeatureDefinition,
    FeatureProperties,
    FeatureProperty,
    FeatureDesiredProperties,
    FeatureDesiredProperty,
    /// `/_policy…`, the policy inlined in a thing; merge only.
    InlinedPolicy,
}

impl ThingResource {
    /// Name within a command's type: `modifyAttribute`.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Thing | Self::InlinedPolicy => "Thing",
            Self::PolicyId => "PolicyId",
            Self::Definition => "Definition",
            Self::Attributes => "Attributes",
            Self::Attribute => "Attribute",
            Self::Features => "Features",
            Self::Feature => "Feature",
            Self::FeatureDefinition => "FeatureDefinition",
            Self::FeatureProperties => "FeatureProperties",
            Self::FeatureProperty => "FeatureProperty",
            Self::FeatureDesiredProperties => "FeatureDesiredProperties",
            Self::FeatureDesiredProperty => "FeatureDesiredProperty",
        }
    }

    /// Name within an event's type: `attributeModified`.
    pub(crate) fn event_noun(self) -> &'static str {
        match self {
            Self::Thing | Self::InlinedPolicy => "thing",
            Self::PolicyId => "policyId",
            Self::Definition => "definition",
            Self::Attributes => "attributes",
            Self::Attribute => "attribute",
            Self::Features => "features",
            Self::Feature => "feature",
            Self::FeatureDefinition => "featureDefinition",
            Self::FeatureProperties => "featureProperties",
            Self::FeatureProperty => "featureProperty",
            Self::FeatureDesiredProperties => "featureDesiredProperties",
            Self::FeatureDesiredProperty => "featureDesiredProperty",
        }
    }

    /// Finds the resource of a path and checks the keys in it.
    pub(crate) fn of_path(path: &str) -> Result<Self, ProtocolError> {
        let unknown = || {
            ProtocolError::new(
                ErrorCode::UNKNOWN_PATH,
                format!("things have no resource at path `{}`", shorten(path)),
            )
        };
        let mut segments = Segments::of_path(path);
        let Some(first) = segments.next() else { return Ok(Self::Thing) };
        let second = segments.next();
        let resource = match (first, second) {
            ("policyId", None) => Self::PolicyId,
            ("definition", None) => Self::Definition,
            ("_policy", _) => return Ok(Self::InlinedPolicy),
            ("attributes", None) => Self::Attributes,
            ("attributes", Some(key)) => {
                check_path_key(key)?;
                segments.try_for_each(check_path_key)?;
                Self::Attribute
            }
            ("features", None) => Self::Features,
            ("features", Some(id)) => {
                check_path_key(id)?;
                let (kind, key) = (segments.next(), segments.next());
                if let Some(key) = key {
                    check_path_key(key)?;
                    segments.try_for_each(check_path_key)?;
                }
                match (kind, key) {
                    (None, _) => Self::Feature,
                    (Some("definition"), None) => Self::FeatureDefinition,
                    (Some("properties"), None) => Self::FeatureProperties,
                    (Some("properties"), Some(_)) => Self::FeatureProperty,
                    (Some("desiredProperties"), None) => Self::FeatureDesiredProperties,
                    (Some("desiredProperties"), Some(_)) => Self::FeatureDesiredProperty,
                    _ => return Err(unknown()),
                }
            }
            _ => return Err(unknown()),
        };
        Ok(resource)
    }
}

fn check_path_key(key: &str) -> Result<(), ProtocolError> {
    if key.starts_with('/') {
        return Err(ProtocolError::new(
            ErrorCode::JSON_POINTER_INVALID,
            format!("the path has two slashes in a row before `{}`", shorten(key.trim_start_matches('/'))),
        ));
    }
    check_key(key)
}

/// A resource of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of the protocol's resources say it")]
pub enum PolicyResource {
    Policy,
    Entries,
    Entry,
    Subjects,
    Subject,
    Resources,
    Resource,
    EntryImportable,
    EntryAllowedAdditions,
    EntryNamespaces,
    EntryReferences,
    Imports,
    Import,
    ImportEntries,
    ImportTransitiveImports,
}

impl PolicyResource {
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Policy => "Policy",
            Self::Entries => "PolicyEntries",
            Self::Entry => "PolicyEntry",
            Self::Subjects => "Subjects",
            Self::Subject => "Subject",
            Self::Resources => "Resources",
            Self::Resource => "Resource",
            Self::EntryImportable => "PolicyEntryImportable",
            Self::EntryAllowedAdditions => "PolicyEntryAllowedAdditions",
            Self::EntryNamespaces => "PolicyEntryNamespaces",
            Self::EntryReferences => "PolicyEntryReferences",
            Self::Imports => "PolicyImports",
            Self::Import => "PolicyImport",
            Self::ImportEntries => "PolicyImportEntries",
            Self::ImportTransitiveImports => "PolicyImportTransitiveImports",
        }
    }

    pub(crate) fn event_noun(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Entries => "policyEntries",
            Self::Entry => "policyEntry",
            Self::Subjects => "subjects",
            Self::Subject => "subject",
            Self::Resources => "resources",
            Self::Resource => "resource",
            Self::EntryImportable => "policyEntryImportable",
            Self::EntryAllowedAdditions => "policyEntryAllowedAdditions",
            Self::EntryNamespaces => "policyEntryNamespaces",
            Self::EntryReferences => "policyEntryReferences",
            Self::Imports => "policyImports",
            Self::Import => "policyImport",
            Self::ImportEntries => "policyImportEntries",
            Self::ImportTransitiveImports => "policyImportTransitiveImports",
        }
    }

    pub(crate) fn of_path(path: &str) -> Result<Self, ProtocolError> {
        let segments: Vec<&str> = Segments::of_path(path).collect();
        let resource = match segments.as_slice() {
            [] => Self::Policy,
            ["entries"] => Self::Entries,
            ["entries", _] => Self::Entry,
            ["entries", _, "subjects"] => Self::Subjects,
            ["entries", _, "subjects", ..] => Self::Subject,
            ["entries", _, "resources"] => Self::Resources,
            ["entries", _, "resources", ..] => Self::Resource,
            ["entries", _, "importable"] => Self::EntryImportable,
            ["entries", _, "allowedAdditions"] => Self::EntryAllowedAdditions,
            ["entries", _, "namespaces"] => Self::EntryNamespaces,
            ["entries", _, "references"] => Self::EntryReferences,
            ["imports"] => Self::Imports,
            ["imports", _] => Self::Import,
            ["imports", _, "entries"] => Self::ImportEntries,
            ["imports", _, "transitiveImports"] => Self::ImportTransitiveImports,
            _ => {
                return Err(ProtocolError::new(
                    ErrorCode::UNKNOWN_PATH,
                    format!("policies have no resource at path `{}`", shorten(path)),
                ));
            }
        };
        Ok(resource)
    }
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessagePath<'p> {
    pub(crate) feature: Option<&'p str>,
    /// `inbox`: to the thing; `outbox`: from it.
    pub(crate) to_thing: bool,
}

impl<'p> MessagePath<'p> {
    /// `/inbox/messages/<subject>` and `/outbox/…`, at a thing or at a feature; `subject` is that of the topic.
    pub(crate) fn of_path(path: &'p str, subject: &str) -> Result<Self, ProtocolError> {
        let invalid = || {
            ProtocolError::new(
                ErrorCode::INVALID_PATH,
                format!(
                    "path `{}` is not that of a message with subject `{}`",
                    shorten(path),
                    shorten(subject)
                ),
            )
        };
        let mut segments = Segments::of_path(path);
        let mut direction = segments.next().ok_or_else(invalid)?;
        let mut feature = None;
        if direction == "features" {
            let id = segments.next().ok_or_else(invalid)?;
            check_path_key(id)?;
            feature = Some(id);
            direction = segments.next().ok_or_else(invalid)?;
        }
        let to_thing = match direction {
            "inbox" => true,
            "outbox" => false,
            _ => return Err(invalid()),
        };
        if segments.next() != Some("messages") || segments.rest() != Some(subject) {
            return Err(invalid());
        }
        Ok(Self { feature, to_thing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_of_things() {
        for (path, expected) in [
            ("", Ok(ThingResource::Thing)),
            ("attributes/", Ok(ThingResource::Attributes)),
            ("/features/x/properties/k/l", Ok(ThingResource::FeatureProperty)),
            ("/features/x/foo", Err("protocoladapter:unknown.path")),
            ("/attributes//a", Err("json.pointer.invalid")),
            ("/features//properties/k", Err("json.pointer.invalid")),
            ("/attributes/ä", Err("json.key.invalid")),
            ("/thingId", Err("protocoladapter:unknown.path")),
        ] {
            assert_eq!(ThingResource::of_path(path).map_err(|e| e.code().name()), expected, "{path}");
        }
    }

    #[test]
    fn messages_repeat_their_subject() {
        let path = MessagePath::of_path("/features/x/outbox/messages/a/b", "a/b").unwrap();
        assert_eq!(path, MessagePath { feature: Some("x"), to_thing: false });
        assert!(MessagePath::of_path("/inbox/messages/", "start").is_err());
        assert!(MessagePath::of_path("/inbox/messages/other", "start").is_err());
    }
}
