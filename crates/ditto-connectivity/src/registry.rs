//! The connections of the service, and the one path of each change: validate → compile → store → switch (design.md §3,
//! invariant 5).
//!
//! [`Registry`] is a handle; clones are the same registry. What it answers has happened: a change is on the disk, and lanes
//! judge signals by it. Changes of one connection come one after the other; those of different connections do not wait for
//! each other. A change that has begun goes on when nobody waits for its answer any more.
//!
//! The *desired* status of a connection is that of its definition: a command changes it, and nothing else does. How it
//! really stands is told apart, by [`Registry::status`].
//!
//! ```
//! # use std::sync::Arc;
//! use ditto_connection::Draft;
//! use ditto_connectivity::{ConnectionCommand, MemoryStore, Precondition, Put, Registry};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let registry = Registry::open(Arc::new(MemoryStore::default()))?;
//! let text = r#"{"connectionType": "kafka", "connectionStatus": "closed", "uri": "tcp://localhost:9092",
//!     "specificConfig": {"bootstrapServers": "localhost:9092"},
//!     "targets": [{"address": "t", "topics": ["_/_/things/twin/events"], "authorizationContext": ["a:b"]}]}"#;
//! // POST: the id is given, the definition has none.
//! let id = "created".parse()?;
//! let created = registry.create(Draft::of_post(text, &id).read()?).await?;
//! assert_eq!((created.revision, created.connection.status().as_str()), (1, "closed"));
//! // PUT: the definition may have masks for the secrets that are stored.
//! let read = |stored: Option<&_>| {
//!     let draft = Draft::of_put(text, &id);
//!     stored.into_iter().fold(draft, Draft::with_secrets_of).read()
//! };
//! assert!(matches!(registry.put(&id, read, &Precondition::default()).await?, Put::Modified(_)));
//! registry.command(&id, ConnectionCommand::Close).await?;
//! let stored = registry.get(&id).ok_or("gone")?;
//! // What an ETag says, and `entity-revision`.
//! assert_eq!((stored.revision, stored.sequence), (2, 3));
//! registry.delete(&id, &Precondition::default()).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).map_err(|error| error.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod precondition;
mod standing;
mod turns;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use ditto_connection::{Connection, ConnectionStatus, ValidationReport};
use ditto_outbound::LaneCounts;
use ditto_protocol::ConnectionId;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

pub use self::error::RegistryError;
pub use self::precondition::{Matches, Precondition};
pub use self::standing::{ConnectionStanding, Recovery};
use self::turns::{Turn, Turns};
use crate::connecting;
use crate::directory::LaneDirectory;
use crate::observed::Observation;
use crate::plane::DataPlane;
use crate::standing::Standing;
use crate::status::Watched;
use crate::store::{ConnectionStore, Record, StoreError, Unreadable};

/// The connections, and what changes them.
#[derive(Clone)]
pub struct Registry(Arc<Shared>);

struct Shared {
    store: Arc<dyn ConnectionStore>,
    known: RwLock<Known>,
    turns: Turns,
    /// What runs connections, once something does.
    plane: OnceLock<DataPlane>,
    /// Nothing is changed any more.
    is_ending: AtomicBool,
}

/// What the store has, as it was last read or written.
#[derive(Default)]
struct Known {
    connections: BTreeMap<ConnectionId, Record>,
    /// Numbers of the changes that deleted what is no more.
    deleted: BTreeMap<ConnectionId, u64>,
    /// What is kept and cannot be read, by id or file.
    unreadable: BTreeMap<String, Unreadable>,
}

/// What a PUT has done.
#[derive(Debug, Clone, PartialEq)]
pub enum Put {
    /// There was no connection of that id.
    Created(Record),
    /// There was one.
    Modified(Record),
}

/// What can be done to a connection beside changing its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionCommand {
    /// It shall publish.
    Open,
    /// It shall not.
    Close,
    /// Its metrics begin anew.
    ResetMetrics,
    /// Its logs are kept for a while.
    EnableLogs,
    /// Its logs are forgotten.
    ResetLogs,
}

impl Registry {
    /// The connections of a store. Blocks while they are read. Nothing runs yet.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(store: Arc<dyn ConnectionStore>) -> Result<Self, StoreError> {
        let loaded = store.load()?;
        let connections = loaded.records.into_iter().map(|it| (it.connection.id().clone(), it));
        let unreadable = loaded.unreadable.into_iter().map(|it| (it.name.clone(), it));
        let known = RwLock::new(Known {
            connections: connections.collect(),
            deleted: loaded.deleted,
            unreadable: unreadable.collect(),
        });
        Ok(Self(Arc::new(Shared {
            store,
            known,
            turns: Turns::default(),
            plane: OnceLock::new(),
            is_ending: AtomicBool::new(false),
        })))
    }

    /// Has everything run that is to be open, and whatever comes.
    pub(crate) async fn serve(&self, plane: &DataPlane) {
        if self.0.plane.set(plane.clone()).is_ok() {
            let runs = |it: &Record| runs(&it.connection).then(|| Arc::clone(&it.connection));
            let open = self.known().connections.values().filter_map(runs).collect();
            plane.open(open, false).await;
        }
    }

    /// Changes nothing any more.
    pub(crate) fn end(&self) {
        self.0.is_ending.store(true, Ordering::Release);
    }

    /// The connection of that id.
    #[must_use]
    pub fn get(&self, id: &ConnectionId) -> Option<Record> {
        self.known().connections.get(id).cloned()
    }

    /// All connections, by id.
    #[must_use]
    pub fn list(&self) -> Vec<Record> {
        self.known().connections.values().cloned().collect()
    }

    /// What is kept and cannot be read, by id or by the name of its file. It does not run, and keeps nothing else from running.
    /// One with an id can be replaced by [`Self::put`], and deleted.
    #[must_use]
    pub fn unreadable(&self) -> Vec<Unreadable> {
        self.known().unreadable.values().cloned().collect()
    }

    /// Why there is nothing to be had of that id.
    #[must_use]
    pub fn missing(&self, id: &ConnectionId) -> RegistryError {
        match self.known().unreadable.get(id.as_str()) {
            Some(it) => RegistryError::Unreadable { id: id.clone(), reason: it.reason.clone() },
            None => RegistryError::NotFound(id.clone()),
        }
    }

    /// Adds a connection. One that is open is answered before it has connected, as in the reference (http-api.md §2).
    ///
    /// # Errors
    /// There is one of its id, or it cannot be kept.
    pub async fn create(&self, connection: Connection) -> Result<Record, RegistryError> {
        let turn = self.0.turns.take(connection.id()).await;
        if self.get(connection.id()).is_some() {
            return Err(RegistryError::Conflict(connection.id().clone()));
        }
        if let unreadable @ RegistryError::Unreadable { .. } = self.missing(connection.id()) {
            return Err(unreadable);
        }
        self.change(turn, Change::Create(connection)).await
    }

    /// Puts a definition in the place of what has this id, be it readable or not, or adds it. `read` gets what is stored, for the secrets that the
    /// definition does not repeat. If the connection was or is to be open, it is answered once it has connected.
    ///
    /// # Errors
    /// The precondition, the definition or the store refuse it; or it is kept, and has not connected
    /// ([`RegistryError::Failed`]).
    pub async fn put(
        &self,
        id: &ConnectionId,
        read: impl FnOnce(Option<&Connection>) -> Result<Connection, ValidationReport>,
        precondition: &Precondition,
    ) -> Result<Put, RegistryError> {
        let turn = self.0.turns.take(id).await;
        let (stored, unreadable) = (self.get(id), self.unreadable_of(id));
        // Which definition it was nobody knows, but there is one.
        let revision = stored.as_ref().map(|it| it.revision).or(unreadable.as_ref().map(|_| 0));
        precondition.check(id, revision)?;
        let connection = read(stored.as_ref().map(|it| &*it.connection))?;
        if connection.id() != id {
            return Err(RegistryError::OtherId { asked: id.clone(), found: connection.id().clone() });
        }
        let change = match (stored, unreadable) {
            (Some(stored), _) => Change::Modify(stored, connection),
            (None, Some(unreadable)) => Change::Replace(unreadable, connection),
            (None, None) => return self.change(turn, Change::Create(connection)).await.map(Put::Created),
        };
        let record = self.change(turn, change).await?;
        self.connected(&record).await.map(Put::Modified)
    }

    /// Removes a connection, be it readable or not. When it is answered, nothing of it is published any more. The number of this
    /// change.
    ///
    /// # Errors
    /// There is none, the precondition is not met, or it is still kept.
    pub async fn delete(&self, id: &ConnectionId, precondition: &Precondition) -> Result<u64, RegistryError> {
        let turn = self.0.turns.take(id).await;
        let (revision, sequence) = match (self.get(id), self.unreadable_of(id)) {
            (Some(stored), _) => (stored.revision, stored.sequence),
            (None, Some(unreadable)) => (0, unreadable.sequence),
            (None, None) => return Err(RegistryError::NotFound(id.clone())),
        };
        precondition.check(id, Some(revision))?;
        self.remove(turn, id.clone(), sequence.saturating_add(1), false).await
    }

    /// Does something to a connection. [`ConnectionCommand::Open`] is answered once it has connected, or has failed to for
    /// the first time, or after ten seconds; it is tried on in each case. [`ConnectionCommand::Close`] once
    /// nothing of it is published any more.
    ///
    /// # Errors
    /// There is none, what it shall be cannot be kept, or it has not connected.
    pub async fn command(
        &self,
        id: &ConnectionId,
        command: ConnectionCommand,
    ) -> Result<Record, RegistryError> {
        let turn = self.0.turns.take(id).await;
        let stored = self.get(id).ok_or_else(|| self.missing(id))?;
        let status = match command {
            ConnectionCommand::Open => ConnectionStatus::Open,
            ConnectionCommand::Close => ConnectionStatus::Closed,
            // Nothing is kept of them.
            ConnectionCommand::ResetMetrics => {
                self.observation(id).reset_metrics();
                return Ok(stored);
            }
            ConnectionCommand::ResetLogs => {
                self.observation(id).reset_logs();
                return Ok(stored);
            }
            // They are always written.
            ConnectionCommand::EnableLogs => return Ok(stored),
        };
        let record = self.change(turn, Change::Status(stored, status)).await?;
        self.connected(&record).await
    }

    /// Waits until a connection that is to be open has connected.
    async fn connected(&self, record: &Record) -> Result<Record, RegistryError> {
        let connection = &record.connection;
        let failed = |failure| RegistryError::Failed { id: connection.id().clone(), failure };
        if let Some(plane) = self.0.plane.get()
            && connection.status() == ConnectionStatus::Open
        {
            connecting::not_served(connection).map_or(Ok(()), |failure| Err(failed(failure)))?;
            plane.connected(connection.id().as_str()).await.map_err(failed)?;
        }
        Ok(record.clone())
    }

    /// Tries a connection without keeping it: connects, logs in, and looks for the topics that its targets name. Takes some
    /// seconds at most.
    ///
    /// # Errors
    /// [`RegistryError::Failed`] with the first thing that does not work.
    pub async fn test(&self, connection: &Connection) -> Result<(), RegistryError> {
        let failed = |failure| RegistryError::Failed { id: connection.id().clone(), failure };
        let cluster = self.0.plane.get().and_then(DataPlane::cluster);
        connecting::try_out(connection, cluster).await.map_err(failed)
    }

    /// What is seen of a connection; nothing of one that has not run in this process.
    #[must_use]
    pub fn observation(&self, id: &ConnectionId) -> Arc<Observation> {
        let plane = self.0.plane.get();
        plane.map(|plane| plane.observed().of(id.as_str())).unwrap_or_default()
    }

    /// Looks at how each connection stands, for its journal and, if it `is_counted`, for its metrics.
    pub(crate) fn look(&self, is_counted: bool) {
        for record in self.list() {
            let id = record.connection.id();
            let Some(standing) = self.status(id) else { continue };
            let observation = self.observation(id);
            observation.stands(standing.live, standing.reason());
            if is_counted {
                observation.report(standing.live);
            }
        }
    }

    /// What the lane of a connection has read since it has started; none if it does not run.
    pub(crate) fn lane_counts(&self, id: &ConnectionId) -> Option<LaneCounts> {
        let (lane, _) = self.0.plane.get()?.find(id.as_str())?;
        Some(lane.counts())
    }

    /// How a connection stands; none if there is no such connection.
    #[must_use]
    pub fn status(&self, id: &ConnectionId) -> Option<ConnectionStanding> {
        let Record { connection, modified, .. } = self.get(id)?;
        let running = self.0.plane.get().and_then(|plane| Some((plane, plane.find(id.as_str())?)));
        Some(match running {
            Some((plane, (lane, served))) => {
                let (client, targets) = Watched::of(plane, &lane, served).in_words_of_the_reference();
                ConnectionStanding::of(&connection, client, targets)
            }
            None => match connecting::not_served(&connection) {
                Some(failure) if connection.status() == ConnectionStatus::Open => {
                    let failed = Standing::failed(&failure, Some(modified));
                    let targets = vec![failed.clone(); connection.targets().len()];
                    ConnectionStanding::of(&connection, failed, targets)
                }
                _ => ConnectionStanding::closed(&connection, modified),
            },
        })
    }

    /// What knows things and policies, to be asked as by a lane.
    pub(crate) fn lane_directory(&self) -> Option<LaneDirectory> {
        self.0.plane.get().and_then(DataPlane::lane_directory)
    }

    /// Reads the store again, and has run what it has now. What somebody else has broken there stays as it was, and is told. Only
    /// what is different is touched.
    pub async fn reload(&self) {
        let store = Arc::clone(&self.0.store);
        let loaded = match tokio::task::spawn_blocking(move || store.load()).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(error)) => return warn!(%error, "connections are not read again, and stay as they were"),
            Err(_) => return,
        };
        for Unreadable { name, reason, .. } in &loaded.unreadable {
            for finding in reason.lines() {
                error!(file = name, "connection not read again: {finding}");
            }
        }
        let unreadable = loaded.unreadable.into_iter().map(|it| (it.name.clone(), it));
        self.known_mut().unreadable = unreadable.collect();
        let found = loaded.records.into_iter().map(|it| (it.connection.id().clone(), it));
        let mut found: BTreeMap<_, _> = found.collect();
        let mut ids: Vec<_> = self.known().connections.keys().cloned().collect();
        ids.extend(found.keys().cloned());
        ids.sort_unstable();
        ids.dedup();
        let mut changes = JoinSet::new();
        for id in ids {
            let (registry, found) = (self.clone(), found.remove(&id));
            changes.spawn(async move {
                let turn = registry.0.turns.take(&id).await;
                match (registry.get(&id), found) {
                    (Some(stored), Some(found)) if stored.connection == found.connection => false,
                    (stored, Some(found)) => {
                        registry.change(turn, Change::Reload(stored, found)).await.is_ok()
                    }
                    (Some(stored), None) => {
                        registry.remove(turn, id, stored.sequence + 1, true).await.is_ok()
                    }
                    (None, None) => false,
                }
            });
        }
        let changed = changes.join_all().await.into_iter().filter(|changed| *changed).count();
        info!(changed, "connections read again");
    }

    /// Makes a change. It is made also if nobody waits for it any more.
    async fn change(&self, turn: Turn, change: Change) -> Result<Record, RegistryError> {
        let registry = self.clone();
        made(turn, async move { registry.keep_and_switch(change).await }).await
    }

    async fn keep_and_switch(&self, change: Change) -> Result<Record, RegistryError> {
        let is_kept = matches!(change, Change::Reload(..));
        let record = self.record(change);
        let kept = record.clone();
        self.keep(move |store| if is_kept { Ok(()) } else { store.put(&kept) }).await?;
        let before = {
            let mut known = self.known_mut();
            let id = record.connection.id();
            known.deleted.remove(id);
            known.unreadable.remove(id.as_str());
            known.connections.insert(id.clone(), record.clone())
        };
        self.switch(before.map(|it| it.connection).as_deref(), Some(&record.connection)).await;
        Ok(record)
    }

    /// Removes a connection by the change of this number, which it answers; from the store as well, unless it is gone there.
    async fn remove(
        &self,
        turn: Turn,
        id: ConnectionId,
        sequence: u64,
        is_gone: bool,
    ) -> Result<u64, RegistryError> {
        let registry = self.clone();
        let removing = async move {
            let removed = id.clone();
            let delete = move |store: &dyn ConnectionStore| store.delete(&removed, sequence).map(drop);
            registry.keep(move |store| if is_gone { Ok(()) } else { delete(store) }).await?;
            let before = {
                let mut known = registry.known_mut();
                known.unreadable.remove(id.as_str());
                let before = known.connections.remove(&id);
                known.deleted.insert(id, sequence);
                before
            };
            registry.switch(before.map(|it| it.connection).as_deref(), None).await;
            Ok(sequence)
        };
        made(turn, removing).await
    }

    /// Writes to the store, unless the service is ending.
    async fn keep(
        &self,
        write: impl FnOnce(&dyn ConnectionStore) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), RegistryError> {
        // Whether it can be ended in order is not known any more.
        if self.0.is_ending.load(Ordering::Acquire) {
            return Err(RegistryError::Ending);
        }
        let store = Arc::clone(&self.0.store);
        let writing = tokio::task::spawn_blocking(move || write(&*store));
        Ok(writing.await.map_err(|_| RegistryError::Ending)??)
    }

    /// Has lanes serve what is, in the place of what was.
    async fn switch(&self, before: Option<&Connection>, now: Option<&Arc<Connection>>) {
        let Some(plane) = self.0.plane.get() else { return };
        match (before.filter(|it| runs(it)), now.filter(|it| runs(it))) {
            (None, None) => {}
            (None, Some(now)) => {
                info!(connection = %now.id(), "connection opened");
                tell_of_sources(now);
                plane.open(vec![Arc::clone(now)], true).await;
            }
            (Some(before), Some(now)) if before == &**now => {}
            (Some(_), Some(now)) => {
                plane.change(now).await;
                info!(connection = %now.id(), "connection changed");
                tell_of_sources(now);
            }
            (Some(before), None) => {
                plane.close(before.id().as_str()).await;
                info!(connection = %before.id(), "connection closed");
            }
        }
        if let (Some(before), None) = (before, now) {
            plane.observed().forget(before.id().as_str());
        }
    }

    /// What a change makes of a connection.
    fn record(&self, change: Change) -> Record {
        // It goes on counting where something of this id was deleted.
        let next = |id: &ConnectionId| self.known().deleted.get(id).map_or(1, |it| it.saturating_add(1));
        match change {
            Change::Create(connection) => {
                let sequence = next(connection.id());
                Record::first(connection, sequence)
            }
            Change::Replace(unreadable, connection) => {
                Record::first(connection, unreadable.sequence.saturating_add(1))
            }
            Change::Modify(stored, connection) => {
                let sequence = stored.sequence + 1;
                let modified = SystemTime::now();
                Record { connection: Arc::new(connection), revision: sequence, sequence, modified, ..stored }
            }
            Change::Status(stored, status) => {
                let connection = Arc::new(Connection::clone(&stored.connection).with_status(status));
                Record { connection, sequence: stored.sequence + 1, ..stored }
            }
            Change::Reload(Some(stored), found) => {
                let sequence = stored.sequence + 1;
                Record { revision: sequence, sequence, created: stored.created, ..found }
            }
            Change::Reload(None, found) => {
                let sequence = next(found.connection.id());
                Record { revision: sequence, sequence, ..found }
            }
        }
    }

    fn unreadable_of(&self, id: &ConnectionId) -> Option<Unreadable> {
        self.known().unreadable.get(id.as_str()).cloned()
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.0.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change of one connection, with what is stored of it.
enum Change {
    Create(Connection),
    /// What was there cannot be read.
    Replace(Unreadable, Connection),
    Modify(Record, Connection),
    Status(Record, ConnectionStatus),
    /// The store has this now, whoever has written it there.
    Reload(Option<Record>, Record),
}

/// What comes of a change, which goes on if nobody waits for it any more.
async fn made<T: Send + 'static>(
    turn: Turn,
    making: impl Future<Output = Result<T, RegistryError>> + Send + 'static,
) -> Result<T, RegistryError> {
    let making = tokio::spawn(async move {
        let made = making.await;
        drop(turn);
        made
    });
    // It panicked, or the runtime is ending.
    making.await.unwrap_or(Err(RegistryError::Ending))
}

/// What nobody is to find out by waiting for messages.
fn tell_of_sources(connection: &Connection) {
    let addresses = connecting::not_consumed(connection);
    if !addresses.is_empty() {
        let sources = addresses.join(", ");
        warn!(connection = %connection.id(), sources, "sources are {}", connecting::NOT_CONSUMED);
    }
}

/// Whether a connection is to run, and can.
fn runs(connection: &Connection) -> bool {
    connection.status() == ConnectionStatus::Open && connection.not_served().next().is_none()
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("connections", &self.known().connections.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
