//! Connections as they are answered (connection-model.md §1, status-metrics-logs.md §1).

use std::collections::BTreeMap;
use std::time::SystemTime;

use ditto_connection::{Connection, Draft};
use ditto_outbound::LaneCounts;
use ditto_protocol::ConnectionId;
use serde_json::{Map, Value, json};

use super::Api;
use super::connections::Fields;
use super::problem::Problem;
use crate::mappers::{read_definition, scripts};
use crate::registry::{ConnectionStanding, Precondition, Put, Recovery, RegistryError};
use crate::standing::{Standing, Word};
use crate::store::{Record, Unreadable};

impl Api {
    /// The connection of that id.
    pub(super) fn record(&self, id: &ConnectionId) -> Result<Record, Problem> {
        self.registry.get(id).ok_or_else(|| self.registry.missing(id).into())
    }

    /// What is kept under that id.
    pub(super) fn kept(&self, id: &ConnectionId) -> Result<Kept, Problem> {
        let unreadable = || self.registry.unreadable().into_iter().find(|it| it.name == id.as_str());
        let record = self.registry.get(id).map(Kept::Readable);
        record.or_else(|| unreadable().map(Kept::Unreadable)).ok_or_else(|| self.registry.missing(id).into())
    }

    /// All that is kept under an id. A file that is broken has none.
    pub(super) fn all(&self) -> BTreeMap<ConnectionId, Kept> {
        let unreadable = self.registry.unreadable().into_iter();
        let unreadable = unreadable.filter_map(|it| Some((it.name.parse().ok()?, Kept::Unreadable(it))));
        let records = self.registry.list().into_iter();
        unreadable.chain(records.map(|it| (it.connection.id().clone(), Kept::Readable(it)))).collect()
    }

    /// Puts a definition in the place of what has this id.
    pub(super) async fn put(
        &self,
        text: &str,
        id: &ConnectionId,
        precondition: &Precondition,
    ) -> Result<Put, RegistryError> {
        let read = |stored: Option<&Connection>| {
            let draft = Draft::of_put(text, id);
            read_definition(stored.map_or(draft, |stored| draft.with_secrets_of(stored)))
        };
        self.registry.put(id, read, precondition).await
    }

    /// How a connection stands.
    pub(super) fn status(&self, id: &ConnectionId) -> Result<Value, Problem> {
        let record = match self.kept(id)? {
            Kept::Readable(record) => record,
            Kept::Unreadable(unreadable) => return Ok(self.standing_of_unreadable(&unreadable)),
        };
        let standing = self.registry.status(id).ok_or_else(|| RegistryError::NotFound(id.clone()))?;
        Ok(self.standing(&record, &standing))
    }

    /// The metrics of a connection.
    pub(super) fn metrics(&self, id: &ConnectionId) -> Result<Value, Problem> {
        let mut said = Map::new();
        said.insert("type".to_owned(), "connectivity.responses:retrieveConnectionMetrics".into());
        said.insert("status".to_owned(), 200.into());
        said.insert("connectionId".to_owned(), id.as_str().into());
        self.record(id)?;
        if let Value::Object(metrics) = self.registry.observation(id).metrics() {
            said.extend(metrics);
        }
        if let (Some(Value::Object(funnel)), Some(counts)) =
            (said.get_mut("funnel"), self.registry.lane_counts(id))
        {
            funnel.insert("feed".to_owned(), feed(&counts));
        }
        Ok(said.into())
    }

    /// The logs of a connection.
    pub(super) fn logs(&self, id: &ConnectionId) -> Result<Value, Problem> {
        let mut said = Map::new();
        said.insert("connectionId".to_owned(), id.as_str().into());
        self.record(id)?;
        if let Value::Object(logs) = self.registry.observation(id).logs() {
            said.extend(logs);
        }
        Ok(said.into())
    }

    fn standing(&self, record: &Record, standing: &ConnectionStanding) -> Value {
        let mut said = Map::new();
        said.insert("type".to_owned(), "connectivity.responses:retrieveConnectionStatus".into());
        said.insert("status".to_owned(), 200.into());
        said.insert("connectionId".to_owned(), record.connection.id().as_str().into());
        said.insert("connectionStatus".to_owned(), standing.desired.as_str().into());
        said.insert("liveStatus".to_owned(), standing.live.to_string().into());
        said.insert("recoveryStatus".to_owned(), standing.recovery.to_string().into());
        if let Some(since) = standing.connected_since {
            said.insert("connectedSince".to_owned(), instant(since).into());
        }
        let mut client = self.resource("client", None, &standing.client);
        if let Some(details) = overdue(&record.connection) {
            let known = client.get("statusDetails").and_then(Value::as_str).unwrap_or_default();
            let details = format!("{known}; {details}");
            client.insert("statusDetails".to_owned(), details.into());
        }
        client.insert("recoveryStatus".to_owned(), standing.recovery.to_string().into());
        said.insert("clientStatus".to_owned(), json!([client]));
        let is_down = matches!(standing.client.word, Word::Failed | Word::Misconfigured);
        let down = Standing {
            word: Word::Closed,
            since: None,
            reason: Some("the client is not connected, see clientStatus".to_owned()),
        };
        let shown = |standing: &Standing| if is_down { down.clone() } else { standing.clone() };
        let sources = standing.sources.iter();
        let sources: Vec<_> =
            sources.map(|(address, it)| self.resource("source", Some(address), it)).collect();
        let targets = standing.targets.iter();
        let targets: Vec<_> =
            targets.map(|(address, it)| self.resource("target", Some(address), &shown(it))).collect();
        for (name, entries) in [("sourceStatus", sources), ("targetStatus", targets)] {
            if !entries.is_empty() {
                said.insert(name.to_owned(), entries.into_iter().map(Value::Object).collect());
            }
        }
        said.into()
    }

    /// Nobody knows how it is to be.
    fn standing_of_unreadable(&self, unreadable: &Unreadable) -> Value {
        let word = Word::Misconfigured;
        let standing = Standing { word, since: None, reason: Some(unreadable.reason.clone()) };
        let mut client = self.resource("client", None, &standing);
        let recovery = Recovery::Unknown.to_string();
        client.insert("recoveryStatus".to_owned(), recovery.as_str().into());
        json!({
            "type": "connectivity.responses:retrieveConnectionStatus", "status": 200,
            "connectionId": unreadable.name, "connectionStatus": Word::Unknown.to_string(),
            "liveStatus": word.to_string(), "recoveryStatus": recovery, "clientStatus": [client],
        })
    }

    fn resource(&self, kind: &str, address: Option<&str>, standing: &Standing) -> Map<String, Value> {
        let mut said = Map::new();
        said.insert("type".to_owned(), kind.into());
        said.insert("client".to_owned(), (&*self.instance).into());
        if let Some(address) = address {
            said.insert("address".to_owned(), address.into());
        }
        said.insert("status".to_owned(), standing.word.to_string().into());
        let details = standing.reason.clone().unwrap_or_else(|| details(standing.word).to_owned());
        said.insert("statusDetails".to_owned(), details.into());
        if let Some(since) = standing.since {
            said.insert("inStateSince".to_owned(), instant(since).into());
        }
        said
    }
}

/// What is kept under an id.
pub(super) enum Kept {
    /// A connection.
    Readable(Record),
    /// What was one for whoever has kept it.
    Unreadable(Unreadable),
}

impl Kept {
    /// The definition, as [`definition`] shows it; of what cannot be read that it cannot, and why.
    pub(super) fn shown(&self, fields: Option<&Fields>) -> Value {
        let it = match self {
            Self::Readable(record) => return definition(record, fields),
            Self::Unreadable(it) => it,
        };
        let shown = json!({
            "id": it.name, "connectionType": "kafka", "connectionStatus": Word::Misconfigured.to_string(),
            "statusDetails": it.reason,
        });
        fields.map_or_else(|| shown.clone(), |fields| fields.select(&shown))
    }
}

/// Scripts of the connection that still run though their time is over. They are known by their names alone, which another
/// connection may have, too.
fn overdue(connection: &Connection) -> Option<String> {
    let overdue = scripts().overdue.into_iter();
    let own = overdue.filter(|(name, _)| connection.mapping_definitions().iter().any(|it| it.id() == name));
    let said = own.map(|(name, time)| {
        format!(
            "a script of a mapper `{name}` runs for {} s though its time is over: its lane does nothing else",
            time.as_secs()
        )
    });
    let said: Vec<_> = said.collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// What a lane has taken from the feed, and what of it no target got to see.
fn feed(counts: &LaneCounts) -> Value {
    let reasons = |counts: &[(&'static str, u64)]| {
        let named = counts.iter().map(|(reason, n)| ((*reason).to_owned(), Value::from(*n)));
        Value::Object(named.collect())
    };
    json!({
        "received": counts.received, "undecodable": reasons(&counts.undecodable),
        "unreadable": reasons(&counts.unreadable), "unselected": counts.unselected,
    })
}

/// What is said where there is nothing to explain.
fn details(word: Word) -> &'static str {
    match word {
        Word::Open => "CONNECTED",
        Word::Closed => "DISCONNECTED: it is to be closed",
        Word::Unknown => "nothing has shown yet whether it works",
        Word::Failed => "it does not work for now, and is tried on",
        Word::Misconfigured => "it does not work until a setting is corrected",
    }
}

/// The definition, with its secrets masked; what only the service knows is there if it is named.
pub(super) fn definition(record: &Record, fields: Option<&Fields>) -> Value {
    let mut shown = record.connection.to_json();
    let Some(fields) = fields else { return shown };
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("__lifecycle".to_owned(), "active".into());
        shown.insert("_revision".to_owned(), record.revision.into());
        shown.insert("_created".to_owned(), instant(record.created).into());
        shown.insert("_modified".to_owned(), instant(record.modified).into());
    }
    fields.select(&shown)
}

/// ISO 8601, in UTC.
pub(super) fn instant(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |time| time.to_string())
}
