//! `eval topic`

use ditto_connection::{ExtraField, TopicSubscription};
use ditto_protocol::{Signal, TargetTopic};

use super::enrichment::Enrichment;
use super::filter::on_signal;
use super::input::Thing;
use super::mistake::Mistake;
use super::output::{Answer, Output, Stop};
use crate::cli::TopicArgs;

pub(super) fn run(args: &TopicArgs, output: &mut Output) -> Result<(), Stop> {
    let text = &args.topic;
    let topic: TopicSubscription = text.parse().map_err(|error| Mistake::of_topic(text, &error))?;
    let thing = args.thing.as_deref().map(Thing::read).transpose()?;
    // Nothing is loaded that the topic does not ask for.
    let fields = Some(topic.extra_fields().to_vec());
    let enrichment = Enrichment { fields, thing: thing.map(Thing::into_text) };
    output.try_on(&args.on, &about(&topic), |signal| tried(&topic, signal, &enrichment))
}

fn about(topic: &TopicSubscription) -> Answer {
    let mut about = Answer::default();
    about.say(&format!("topic: {topic}"), "topic", topic.to_string());
    about.say(&format!("  kind: {}", topic.topic()), "kind", topic.topic().as_str());
    let namespaces = match topic.namespaces() {
        [] => "all".to_owned(),
        namespaces => namespaces.join(", "),
    };
    about.say(&format!("  namespaces: {namespaces}"), "namespaces", topic.namespaces());
    match topic.filter() {
        Some(filter) => about.say(&format!("  filter: {filter}"), "filter", filter.to_string()),
        None => about.member("filter", None::<String>),
    }
    let fields: Vec<_> = topic.extra_fields().iter().map(field).collect();
    if !fields.is_empty() {
        about.text.push_str(&format!("  extra fields: {}\n", fields.join(", ")));
    }
    about.member("extraFields", fields);
    about
}

fn field(field: &ExtraField) -> String {
    match field {
        ExtraField::Pointer(pointer) => pointer.to_string(),
        ExtraField::Template(template) => template.to_string(),
    }
}

/// Whether a signal is one that the topic subscribes to.
fn tried(topic: &TopicSubscription, signal: &Signal, enrichment: &Enrichment) -> Answer {
    let mut answer = Answer::default();
    let kind = signal.target_topic();
    let is_kind = kind == Some(topic.topic());
    let told = kind.map_or("none that a target can subscribe to", TargetTopic::as_str);
    answer.say(&format!("kind: {is_kind} ({told})"), "isKind", is_kind);
    answer.member("signalKind", kind.map(TargetTopic::as_str));
    let namespace = signal.entity().namespace();
    let is_namespace = topic.namespaces().is_empty()
        || namespace.is_some_and(|namespace| topic.namespaces().iter().any(|known| known == namespace));
    let told = namespace.unwrap_or("none");
    answer.say(&format!("namespace: {is_namespace} ({told})"), "isNamespace", is_namespace);
    let matches = match topic.filter() {
        Some(filter) => on_signal(filter, signal, enrichment, &mut answer),
        None => Some(true),
    };
    let selects = if is_kind && is_namespace { matches } else { Some(false) };
    let told = selects.map_or_else(|| "not known".to_owned(), |selects| selects.to_string());
    answer.say(&format!("selected: {told} (who may read is not looked at)"), "selected", selects);
    answer
}
