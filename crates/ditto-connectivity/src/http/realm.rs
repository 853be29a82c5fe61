//! Who may do what.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tokio::sync::{mpsc, oneshot};

use super::failures::Failures;
use super::jwt::Tokens;
use crate::config::ApiConfig;

/// What somebody may do. Whoever may do more may do less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Read status and metrics.
    Status,
    /// Everything.
    Devops,
}

/// Somebody whose credentials are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// Name or subject.
    pub(super) name: Arc<str>,
    /// What they may do.
    pub(super) role: Role,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No credentials, or wrong ones.
    Unknown,
    /// Too many failed before; the next may come after this time.
    TooManyFailures(Duration),
    /// Too many passwords are being checked.
    Busy,
}

/// Who may do what.
pub(super) struct Realm {
    users: Vec<User>,
    /// Checked where there is no such user: nobody learns from the time it takes.
    decoy: SecretString,
    tokens: Option<Tokens>,
    failures: Failures,
    checker: Checker,
    known: Known,
}

struct User {
    name: Arc<str>,
    role: Role,
    hash: SecretString,
}

/// The user that may do everything; the reference has the same.
const DEVOPS: &str = "devops";
/// The user that may read.
const STATUS: &str = "status";
/// How long a check may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// Credentials longer than this are wrong.
const MAX_CREDENTIALS: usize = 8 << 10;

/// No password can be made up or hashed.
#[derive(Debug, thiserror::Error)]
#[error("no password for the management API: {0}")]
pub(crate) struct RealmError(String);

impl Realm {
    /// Who may do what by the configuration; and the password of `devops`, if one was made up.
    pub(super) fn new(config: &ApiConfig) -> Result<(Self, Option<SecretString>), RealmError> {
        let mut users = Vec::new();
        let mut user = |name: &str, role, hash: SecretString| {
            users.push(User { name: name.into(), role, hash });
        };
        let mut made_up = None;
        match &config.devops_password {
            Some(hash) => user(DEVOPS, Role::Devops, hash.clone()),
            None if config.bind.ip().is_loopback() => {
                let password = random_password()?;
                user(DEVOPS, Role::Devops, hash_password(&password)?);
                made_up = Some(password);
            }
            // Only tokens.
            None => {}
        }
        if let Some(hash) = &config.status_password {
            user(STATUS, Role::Status, hash.clone());
        }
        let decoy = match users.first() {
            Some(user) => user.hash.clone(),
            None => hash_password(&random_password()?)?,
        };
        let realm = Self {
            users,
            decoy,
            tokens: config.jwt.as_ref().map(Tokens::new).transpose().map_err(RealmError)?,
            failures: Failures::default(),
            checker: Checker::start()?,
            known: Known::new()?,
        };
        Ok((realm, made_up))
    }

    /// Finds out who asks.
    ///
    /// # Errors
    /// They are not let in.
    pub(super) async fn caller(&self, credentials: Option<&[u8]>, from: IpAddr) -> Result<Caller, Refusal> {
        let text = credentials.filter(|text| text.len() <= MAX_CREDENTIALS).ok_or(Refusal::Unknown)?;
        let text = std::str::from_utf8(text).map_err(|_| Refusal::Unknown)?;
        let (scheme, rest) = text.split_once(' ').ok_or(Refusal::Unknown)?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            let Some(tokens) = &self.tokens else { return Err(Refusal::Unknown) };
            self.failures.attempt(from, Instant::now()).map_err(Refusal::TooManyFailures)?;
            let caller = tokens.caller(rest).await.ok_or(Refusal::Unknown)?;
            self.failures.succeeded(from, Instant::now());
            return Ok(caller);
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(Refusal::Unknown);
        }
        let decoded = BASE64.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = SecretString::from(decoded.ok_or(Refusal::Unknown)?);
        let tag = self.known.tag(&decoded);
        if let Some(caller) = self.known.get(&tag, Instant::now()) {
            return Ok(caller);
        }
        // What follows costs: only as often as somebody may fail.
        self.failures.attempt(from, Instant::now()).map_err(Refusal::TooManyFailures)?;
        let caller = self.check(decoded).await;
        if matches!(caller, Ok(_) | Err(Refusal::Busy)) {
            self.failures.succeeded(from, Instant::now());
        }
        let caller = caller?;
        self.known.insert(tag, caller.clone(), Instant::now());
        Ok(caller)
    }

    async fn check(&self, credentials: SecretString) -> Result<Caller, Refusal> {
        let (name, _) = credentials.expose_secret().split_once(':').ok_or(Refusal::Unknown)?;
        let user = self.users.iter().find(|user| *user.name == *name);
        let hash = user.map_or(&self.decoy, |user| &user.hash).clone();
        let is_right = self.checker.check(credentials.clone(), hash).await?;
        user.filter(|_| is_right)
            .map(|user| Caller { name: user.name.clone(), role: user.role })
            .ok_or(Refusal::Unknown)
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.users.iter().map(|user| &*user.name).collect();
        f.debug_struct("Realm").field("users", &names).finish_non_exhaustive()
    }
}

/// A hash to put into the configuration.
pub(crate) fn hash_password(password: &SecretString) -> Result<SecretString, RealmError> {
    let hash = Argon2::default().hash_password(password.expose_secret().as_bytes());
    hash.map(|hash| SecretString::from(hash.to_string())).map_err(|error| RealmError(error.to_string()))
}

fn random_password() -> Result<SecretString, RealmError> {
    let mut bytes = [0; 18];
    getrandom::fill(&mut bytes).map_err(|error| RealmError(error.to_string()))?;
    Ok(SecretString::from(URL_SAFE_NO_PAD.encode(bytes)))
}

/// Checks passwords one after the other, in a thread of its own: what one check takes, 19 MiB by default, the next one takes
/// again, where threads of a pool would each keep it.
struct Checker {
    questions: mpsc::Sender<Question>,
}

struct Question {
    credentials: SecretString,
    hash: SecretString,
    answer: oneshot::Sender<bool>,
}

impl Checker {
    fn start() -> Result<Self, RealmError> {
        let (questions, asked) = mpsc::channel::<Question>(1);
        let answer = move || {
            let mut asked = asked;
            while let Some(Question { credentials, hash, answer }) = asked.blocking_recv() {
                // Whoever asked may have given up.
                let _told = answer.send(is_right(&credentials, &hash));
            }
        };
        let started = thread::Builder::new().name("passwords".to_owned()).spawn(answer);
        started.map_err(|error| RealmError(error.to_string()))?;
        Ok(Self { questions })
    }

    async fn check(&self, credentials: SecretString, hash: SecretString) -> Result<bool, Refusal> {
        let (answer, answered) = oneshot::channel();
        let question = Question { credentials, hash, answer };
        let asked = tokio::time::timeout(PATIENCE, self.questions.send(question)).await;
        if !matches!(asked, Ok(Ok(()))) {
            return Err(Refusal::Busy);
        }
        answered.await.map_err(|_| Refusal::Busy)
    }
}

fn is_right(credentials: &SecretString, hash: &SecretString) -> bool {
    let password = credentials.expose_secret().split_once(':').map_or("", |(_, password)| password);
    let verified = PasswordVerifier::<str>::verify_password(
        &Argon2::default(),
        password.as_bytes(),
        hash.expose_secret(),
    );
    verified.is_ok()
}

/// Credentials that were right not long ago, by a tag that says nothing about them.
struct Known {
    key: Hmac<Sha256>,
    callers: Mutex<HashMap<Tag, (Caller, Instant)>>,
}

type Tag = [u8; 32];

/// For so long they need not be checked again.
const KNOWN_FOR: Duration = Duration::from_secs(300);
/// There are as many as users; a password that was changed takes a place too.
const MAX_KNOWN: usize = 16;

impl Known {
    fn new() -> Result<Self, RealmError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| RealmError(error.to_string()))?;
        let key = Hmac::new_from_slice(&key).map_err(|error| RealmError(error.to_string()))?;
        Ok(Self { key, callers: Mutex::default() })
    }

    fn tag(&self, credentials: &SecretString) -> Tag {
        self.key.clone().chain_update(credentials.expose_secret()).finalize().into_bytes().into()
    }

    fn get(&self, tag: &Tag, now: Instant) -> Option<Caller> {
        let callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.get(tag).filter(|(_, until)| *until > now).map(|(caller, _)| caller.clone())
    }

    fn insert(&self, tag: Tag, caller: Caller, now: Instant) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= MAX_KNOWN {
            callers.retain(|_, (_, until)| *until > now);
            if callers.len() >= MAX_KNOWN {
                callers.clear();
            }
        }
        callers.insert(tag, (caller, now + KNOWN_FOR));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    fn realm() -> (Realm, String) {
        let mut config = ApiConfig::new(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0));
        config.status_password = Some(hash_password(&"reader:pw".to_owned().into()).unwrap());
        let (realm, password) = Realm::new(&config).unwrap();
        (realm, password.unwrap().expose_secret().to_owned())
    }

    async fn ask(realm: &Realm, header: &str, n: u32) -> Result<Role, Refusal> {
        realm.caller(Some(header.as_bytes()), IpAddr::V4(n.into())).await.map(|caller| caller.role)
    }

    fn basic(user: &str, password: &str) -> String {
        format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
    }

    #[tokio::test]
    async fn each_user_has_a_role_and_nobody_else_gets_in() {
        let (realm, password) = realm();
        assert_eq!(ask(&realm, &basic("devops", &password), 1).await, Ok(Role::Devops));
        assert_eq!(ask(&realm, &basic("status", "reader:pw"), 2).await, Ok(Role::Status));
        for (n, header) in (10..).zip([
            basic("devops", "wrong"),
            basic("devops", ""),
            basic("other", &password),
            basic("status", &password),
            format!("Bearer {password}"),
            "Basic".to_owned(),
            "Basic !".to_owned(),
            format!("Basic {}", "A".repeat(20_000)),
            format!("Digest {password}"),
            String::new(),
        ]) {
            assert_eq!(ask(&realm, &header, n).await, Err(Refusal::Unknown), "{header}");
        }
        assert_eq!(realm.caller(None, IpAddr::V4(1.into())).await, Err(Refusal::Unknown));
    }

    #[tokio::test]
    async fn whoever_fails_too_often_waits_and_whoever_is_known_does_not() {
        let (realm, password) = realm();
        let right = basic("devops", &password);
        assert_eq!(ask(&realm, &right, 1).await, Ok(Role::Devops));
        let mut refusals = Vec::new();
        for n in 0..12 {
            refusals.push(ask(&realm, &basic("devops", &format!("guess {n}")), 1).await);
        }
        assert!(refusals[..10].iter().all(|refusal| *refusal == Err(Refusal::Unknown)), "{refusals:?}");
        assert!(matches!(refusals[11], Err(Refusal::TooManyFailures(_))), "{refusals:?}");
        assert_eq!(ask(&realm, &right, 1).await, Ok(Role::Devops));
        let unknown_yet = basic("status", "reader:pw");
        assert!(matches!(ask(&realm, &unknown_yet, 1).await, Err(Refusal::TooManyFailures(_))));
        assert_eq!(ask(&realm, &unknown_yet, 2).await, Ok(Role::Status));
    }
}
