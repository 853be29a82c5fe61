//! The definitions that clients give connections: each by its number.

use std::sync::atomic::{AtomicUsize, Ordering};

use ditto_connection::Connection;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::campaign::work::READER;
use crate::service::definition;

pub(super) struct Definitions {
    broker: Broker,
    topic: String,
    /// How many were made.
    made: AtomicUsize,
}

impl Definitions {
    /// They publish to this topic.
    pub(super) fn new(broker: &Broker, topic: &str) -> Self {
        Self { broker: broker.clone(), topic: topic.to_owned(), made: AtomicUsize::new(0) }
    }

    /// The number of one that nobody has had yet. Only what is one's own may lead to where nobody is: it is answered late, and
    /// without its number.
    pub(super) fn next(&self, may_be_dead: bool) -> usize {
        loop {
            let number = self.made.fetch_add(1, Ordering::Relaxed);
            if may_be_dead || !is_dead(number) {
                return number;
            }
        }
    }

    /// With the id of the connection, unless it is given one.
    pub(super) fn text(&self, number: usize, id: Option<&str>, is_open: bool) -> Value {
        let (login, server) = match number % 4 {
            _ if is_dead(number) => ("user:nobody-takes-it@".to_owned(), "127.0.0.1:1"),
            0 => {
                let Broker { username, password, .. } = &self.broker;
                (format!("{username}:{password}@"), &*self.broker.listeners.sasl_plaintext)
            }
            _ => (String::new(), &*self.broker.listeners.plaintext),
        };
        // Some publish all, some a part, some nothing.
        let filter = ["", "?filter=gt(attributes/campaign/thing,25)", "?filter=exists(attributes/none)"];
        let filter = filter[number / 4 % filter.len()];
        let target = json!({
            "address": format!("{}/{{{{ thing:id }}}}", self.topic),
            "topics": [format!("_/_/things/twin/events{filter}")], "authorizationContext": [READER],
            "headerMapping": {"definition": number.to_string()},
        });
        let mut text = definition(id.unwrap_or_default(), server, &json!([target]));
        text["name"] = number.to_string().into();
        text["connectionStatus"] = status(is_open).into();
        if !login.is_empty() {
            text["uri"] = format!("tcp://{login}{server}").into();
            text["specificConfig"]["saslMechanism"] = "plain".into();
        }
        if let (None, Some(text)) = (id, text.as_object_mut()) {
            text.remove("id");
        }
        text
    }

    /// The connection that it makes.
    pub(super) fn connection(&self, number: usize, id: &str, is_open: bool) -> anyhow::Result<Connection> {
        let text = self.text(number, Some(id), is_open).to_string();
        Connection::from_json(&text).map_err(|report| anyhow::anyhow!("{}", report.to_json()))
    }
}

fn is_dead(number: usize) -> bool {
    number % 11 == 5
}

fn status(is_open: bool) -> &'static str {
    if is_open { "open" } else { "closed" }
}
