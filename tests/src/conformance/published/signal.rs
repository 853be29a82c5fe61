//! A signal of a row, and what its placeholders stand for.

use serde_json::{Map, Value};

/// One signal.
#[derive(Debug)]
pub(super) struct Signal<'r> {
    /// The message.
    pub(super) ditto: &'r Value,
    /// Headers that only the cluster can set.
    pub(super) internal: &'r Value,
    /// The segments of its topic.
    pub(super) topic: Vec<&'r str>,
}

impl<'r> Signal<'r> {
    pub(super) fn of(signal: &'r Value) -> Self {
        let (ditto, internal) = (&signal["ditto"], &signal["internalHeaders"]);
        Self { ditto, internal, topic: ditto["topic"].as_str().unwrap_or_default().split('/').collect() }
    }

    pub(super) fn path(&self) -> &'r str {
        self.ditto["path"].as_str().unwrap_or_default()
    }

    /// The labels that it asks for.
    pub(super) fn requested(&self) -> Vec<&'r str> {
        strings(&self.ditto["headers"]["requested-acks"])
    }

    /// The subjects in an internal header.
    pub(super) fn subjects(&self, name: &str) -> Vec<String> {
        self.internal[name].as_str().and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default()
    }

    /// Its headers as texts.
    fn headers(&self) -> impl Iterator<Item = (&'r String, String)> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        let all = [&self.ditto["headers"], self.internal].into_iter().filter_map(Value::as_object).flatten();
        all.map(move |(name, value)| (name, text(value)))
    }

    /// A text with the values of headers.
    pub(super) fn with_headers(&self, text: &str) -> String {
        self.headers().fold(text.to_owned(), |text, (name, value)| {
            let names = [format!("{{{{ header:{name} }}}}"), format!("{{{{header:{name}}}}}")];
            names.iter().fold(text, |text, name| text.replace(name, &value))
        })
    }

    /// Whether a placeholder of a template has no value. Of functions only defaults are looked at.
    pub(super) fn lacks_value(&self, template: &str) -> bool {
        let placeholders = template.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
        placeholders.map(|(inner, _)| inner).any(|inner| {
            let head = inner.split('|').next().unwrap_or_default().trim();
            !inner.contains("fn:default") && self.lacks(head)
        })
    }

    fn lacks(&self, placeholder: &str) -> bool {
        let is_message = self.topic.contains(&"messages");
        let is_of_thing = self.topic.get(2) == Some(&"things");
        match placeholder.split_once(':') {
            Some(("header", wanted)) => !self.headers().any(|(name, _)| name.eq_ignore_ascii_case(wanted)),
            Some(("feature", "id")) => !self.path().starts_with("/features") && self.path() != "/",
            Some(("topic", "action")) => is_message,
            Some(("topic", "subject")) => !is_message && !self.topic.contains(&"announcements"),
            Some(("thing", _)) => !is_of_thing,
            Some(("request", _)) => self.internal.get("ditto-auth-context").is_none(),
            Some(("fn", name)) => name.starts_with("delete"),
            _ => false,
        }
    }

    /// The headers of an acknowledgement of a record that was tried.
    pub(super) fn acknowledged(&self, connection: &str) -> Map<String, Value> {
        let headers = self.headers().filter(|(name, _)| *name != "requested-acks");
        let mut headers: Map<String, Value> =
            headers.map(|(name, text)| (name.clone(), Value::from(text))).collect();
        let mut put = |name: &str, text: String| drop(headers.insert(name.to_owned(), text.into()));
        if let [namespace, name, group, ..] = self.topic.as_slice() {
            let kind = if *group == "policies" { "policy" } else { "thing" };
            put("ditto-entity-id", format!("{kind}:{namespace}:{name}"));
        }
        if let Some(revision) = self.ditto.get("revision") {
            put("entity-revision", revision.to_string());
        }
        if self.topic.get(3) == Some(&"live") {
            put("channel", "live".to_owned());
        }
        put("response-required", "false".to_owned());
        put("ditto-connection-id", connection.to_owned());
        headers
    }
}

pub(super) fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
