//! What placeholders stand for in addresses and header mappings (placeholders.md §4, column OUT).

use ditto_placeholder::{Placeholder, Resolution, Resolve};
use ditto_protocol::{Entity, EntityKind, Signal};

use crate::map::requested_acks;
use crate::signal::RoutedSignal;
use crate::target::CompiledTarget;

/// The values of a signal that a target may read.
pub(crate) struct Values<'s> {
    pub(crate) signal: &'s RoutedSignal,
    pub(crate) target: &'s CompiledTarget,
}

impl Resolve for Values<'_> {
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Resolution {
        let start = out.len();
        match self.append(placeholder, out) {
            Some(()) => Resolution::Resolved,
            None => {
                out.truncate(start);
                Resolution::Unresolved
            }
        }
    }
}

impl Values<'_> {
    /// Appends the value; `None` if there is none.
    fn append(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
        let signal = self.signal.signal();
        let entity = signal.entity();
        let thing = (entity.kind() == EntityKind::Thing).then_some(entity);
        let thing_or_policy =
            matches!(entity.kind(), EntityKind::Thing | EntityKind::Policy).then_some(entity);
        let text = match placeholder {
            Placeholder::ThingId => return append_id(thing?, out),
            Placeholder::ThingNamespace => thing?.namespace()?,
            Placeholder::ThingName => thing?.name(),
            Placeholder::EntityId => return append_id(thing_or_policy?, out),
            Placeholder::EntityNamespace => thing_or_policy?.namespace()?,
            Placeholder::EntityName => thing_or_policy?.name(),
            Placeholder::TopicFull => signal.topic(),
            Placeholder::TopicNamespace => signal.topic_path().namespace,
            Placeholder::TopicEntityName => signal.topic_path().name,
            Placeholder::TopicGroup => signal.topic_path().group.as_str(),
            Placeholder::TopicChannel if signal.is_live() => "live",
            Placeholder::TopicChannel => signal.topic_path().channel.as_str(),
            Placeholder::TopicCriterion => signal.topic_path().criterion.as_str(),
            Placeholder::TopicAction => action(signal)?,
            Placeholder::TopicSubject => signal.topic_path().subject?,
            Placeholder::TopicActionSubject => action(signal).or(signal.topic_path().subject)?,
            Placeholder::Header(name) => return self.append_header(name, out),
            Placeholder::ConnectionId => self.target.connection_id(),
            // Definitions with others are refused when they are read.
            _ => return None,
        };
        out.push_str(text);
        Some(())
    }

    /// Names are found in any case; internal headers can be read (outbound.md §4.2).
    fn append_header(&self, name: &str, out: &mut String) -> Option<()> {
        let signal = self.signal.signal();
        if name.eq_ignore_ascii_case("requested-acks")
            && let Some(labels) = requested_acks(signal, self.target)
        {
            out.push_str(&serde_json::to_string(&labels).ok()?);
            return Some(());
        }
        let text = signal.derived_header(name).or_else(|| signal.headers().text(name))?;
        out.push_str(&text);
        Some(())
    }
}

/// `namespace:name`, without the detour through formatting: most addresses have it.
fn append_id(entity: Entity<'_>, out: &mut String) -> Option<()> {
    out.push_str(entity.namespace()?);
    out.push(':');
    out.push_str(entity.name());
    Some(())
}

fn action(signal: &Signal) -> Option<&'static str> {
    signal.topic_path().action.map(|action| action.as_str())
}
