//! The management API over HTTP (http-api.md, piggyback.md): who may ask is decided before anything is routed.

mod accept;
mod asked;
mod audit;
mod connections;
mod described;
mod devops;
mod explain;
mod failures;
mod front;
mod health;
mod jwt;
mod page;
mod parameters;
mod piggyback;
mod problem;
mod prometheus;
mod realm;
mod reply;
mod routes;
mod seats;
mod shown;
mod timed;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::accept::Bounds;
use self::front::Front;
use self::realm::Realm;
use crate::config::ApiConfig;
use crate::registry::Registry;
use crate::report::Report;

pub(crate) use self::realm::{RealmError, hash_password};

/// What the routes answer from.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    /// What the service is called in answers.
    instance: Arc<str>,
    registry: Registry,
    /// What runs, if something does.
    report: Option<Report>,
}

/// The management API, listening and not yet served.
pub(crate) struct Management {
    config: ApiConfig,
    listener: TcpListener,
    address: SocketAddr,
    realm: Realm,
    times: Times,
    /// Of `devops`, if it was made up.
    password: Option<SecretString>,
}

/// Why the management API cannot be offered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManagementError {
    /// Its address is taken, or none of this machine.
    #[error("the management API cannot listen at {0}")]
    Bind(SocketAddr, #[source] io::Error),
    /// Nobody could log in.
    #[error(transparent)]
    Realm(#[from] RealmError),
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// A request's head must come in this time, and so must the next one's.
    head: Duration,
    /// And its body.
    body: Duration,
    /// So long nobody may take nothing of an answer.
    write: Duration,
    /// Requests may take so long once the service is told to stop.
    grace: Duration,
}

const TIMES: Times = Times {
    head: Duration::from_secs(10),
    body: Duration::from_secs(20),
    write: Duration::from_secs(20),
    grace: Duration::from_secs(5),
};

impl Management {
    /// Listens. Nothing is answered before [`Self::serve`].
    pub(crate) async fn bind(config: &ApiConfig) -> Result<Self, ManagementError> {
        Self::bind_with(config, TIMES).await
    }

    async fn bind_with(config: &ApiConfig, times: Times) -> Result<Self, ManagementError> {
        let (realm, password) = Realm::new(config)?;
        let failed = |error| ManagementError::Bind(config.bind, error);
        let listener = TcpListener::bind(config.bind).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { config: config.clone(), listener, address, realm, times, password })
    }

    /// The password of `devops`, if it was made up: to be told once.
    pub(crate) fn take_password(&mut self) -> Option<SecretString> {
        self.password.take()
    }

    /// Answers until `stop`, and then what is being answered.
    pub(crate) async fn serve(self, registry: Registry, report: Option<Report>, stop: CancellationToken) {
        info!(address = %self.address, "management API listens");
        let api = Api { instance: self.config.instance.as_str().into(), registry, report };
        let Times { head, body, write, grace } = self.times;
        let front = Arc::new(Front::new(self.realm, routes::all(api), self.config.cors, body));
        let answer = move |from, request| {
            let front = front.clone();
            async move { front.answer(from, request).await }
        };
        let bounds = Bounds { connections: self.config.max_connections, head, write, grace };
        accept::serve(self.listener, bounds, stop, answer).await;
    }
}

impl std::fmt::Debug for Management {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Management").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
