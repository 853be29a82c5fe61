//! What a signal is about, by its path (protocol.md §3, §4).

use crate::error::{ErrorCode, ProtocolError};
use crate::id::{PolicyId, PolicyLabel, ResourceKey, SubjectId, check_key, shorten};
use crate::topic::Segments;

/// Checks that no segment of a path is empty: most paths are read as JSON pointers before anything else is.
pub(crate) fn check_pointer(path: &str) -> Result<(), ProtocolError> {
    match path.find("//") {
        Some(at) => Err(ProtocolError::new(
            ErrorCode::JSON_POINTER_INVALID,
            format!("the path `{}` has two slashes in a row at byte {at}", shorten(path)),
        )),
        None => Ok(()),
    }
}

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
    /// `/_policy…`, the policy inlined in a thing, which no signal is about.
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

    /// Finds the resource of a path without empty segments; the keys in it are not checked.
    pub(crate) fn of_path(path: &str) -> Result<Self, ProtocolError> {
        let mut segments = Segments::of_path(path);
        let Some(first) = segments.next() else { return Ok(Self::Thing) };
        let resource = match (first, segments.next()) {
            ("policyId", None) => Self::PolicyId,
            ("definition", None) => Self::Definition,
            ("_policy", _) => Self::InlinedPolicy,
            ("attributes", None) => Self::Attributes,
            ("attributes", Some(_)) => Self::Attribute,
            ("features", None) => Self::Features,
            ("features", Some(_)) => match (segments.next(), segments.next()) {
                (None, _) => Self::Feature,
                (Some("definition"), None) => Self::FeatureDefinition,
                (Some("properties"), None) => Self::FeatureProperties,
                (Some("properties"), Some(_)) => Self::FeatureProperty,
                (Some("desiredProperties"), None) => Self::FeatureDesiredProperties,
                (Some("desiredProperties"), Some(_)) => Self::FeatureDesiredProperty,
                _ => return Err(unknown_path(path)),
            },
            _ => return Err(unknown_path(path)),
        };
        Ok(resource)
    }

    /// Checks the keys in the path of an attribute or a property. The id of a feature is a key only of a feature that is
    /// written as a whole.
    pub(crate) fn check_keys(self, path: &str, is_written: bool) -> Result<(), ProtocolError> {
        let before = match self {
            Self::Attribute => 1,
            Self::FeatureProperty | Self::FeatureDesiredProperty => 3,
            Self::Feature if is_written => 1,
            _ => return Ok(()),
        };
        Segments::of_path(path).skip(before).try_for_each(check_key)
    }
}

/// No resource of a thing has such a path.
pub(crate) fn unknown_path(path: &str) -> ProtocolError {
    ProtocolError::new(
        ErrorCode::UNKNOWN_PATH,
        format!("things have no resource at path `{}`", shorten(path)),
    )
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

    /// Checks the labels and keys in its path.
    pub(crate) fn check_path(self, path: &str) -> Result<(), ProtocolError> {
        let segments: Vec<&str> = Segments::of_path(path).collect();
        match segments.as_slice() {
            ["entries", label, key @ ..] => {
                label.parse::<PolicyLabel>()?;
                let key = || key.iter().skip(1).copied().collect::<Vec<_>>().join("/");
                match self {
                    Self::Subject => key().parse::<SubjectId>().map(drop),
                    Self::Resource => key().parse::<ResourceKey>().map(drop),
                    _ => Ok(()),
                }
            }
            ["imports", id, ..] => id.parse::<PolicyId>().map(drop),
            _ => Ok(()),
        }
    }

    /// Whether it can be deleted.
    pub(crate) fn is_deletable(self) -> bool {
        matches!(
            self,
            Self::Policy
                | Self::Entry
                | Self::Subject
                | Self::Resource
                | Self::EntryAllowedAdditions
                | Self::EntryReferences
                | Self::Imports
                | Self::Import
        )
    }

    /// Whether a modification can create it.
    pub(crate) fn is_creatable(self) -> bool {
        self.is_deletable() && self != Self::EntryAllowedAdditions
    }

    /// Whether an event tells that it was created.
    pub(crate) fn has_created_event(self) -> bool {
        matches!(self, Self::Policy | Self::Entry | Self::Subject | Self::Resource)
    }

    /// Whether its value is an object.
    pub(crate) fn is_object(self) -> bool {
        !matches!(
            self,
            Self::EntryImportable
                | Self::EntryAllowedAdditions
                | Self::EntryNamespaces
                | Self::EntryReferences
                | Self::ImportEntries
                | Self::ImportTransitiveImports
        )
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
            feature = Some(segments.next().ok_or_else(invalid)?);
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
            ("/_policy/entries", Ok(ThingResource::InlinedPolicy)),
            ("/attributes/ä", Ok(ThingResource::Attribute)),
            ("/thingId", Err("protocoladapter:unknown.path")),
        ] {
            assert_eq!(ThingResource::of_path(path).map_err(|e| e.code().name()), expected, "{path}");
        }
    }

    #[test]
    fn keys_in_paths() {
        for (path, is_written, valid) in [
            ("/attributes/ä", false, false),
            ("/attributes/a/b", true, true),
            ("/features/ä", true, false),
            ("/features/ä", false, true),
            ("/features/ä/properties/k", true, true),
            ("/features/x/properties/ä", false, false),
        ] {
            let checked = ThingResource::of_path(path).unwrap().check_keys(path, is_written);
            assert_eq!(checked.is_ok(), valid, "{path}");
        }
    }

    #[test]
    fn messages_repeat_their_subject() {
        let path = MessagePath::of_path("/features/x/outbox/messages/a/b", "a/b").unwrap();
        assert_eq!(path, MessagePath { feature: Some("x"), to_thing: false });
        assert!(MessagePath::of_path("/inbox/messages/", "start").is_err());
        assert!(MessagePath::of_path("/inbox/messages/other", "start").is_err());
        assert!(MessagePath::of_path("/features//inbox/messages/start", "start").is_err());
    }
}
