//! The policies of each moment of the corpus.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use ditto_authorization::{Enforcer, Policy};
use serde::Deserialize;
use serde_json::Value;

use super::{CorpusRecord, lines};

/// Which policies hold when.
#[derive(Debug)]
pub struct Moments {
    /// By id: from which operation on it was so.
    policies: HashMap<String, BTreeMap<u64, Arc<Policy>>>,
    /// The last operation that had been answered, for feed records that no operation of ours has brought about.
    answered: HashMap<u64, u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PolicyState {
    after_operation: u64,
    policy_id: String,
    status: u16,
    policy: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    feed: u64,
    after_operation: u64,
}

impl Moments {
    /// Reads the states of policies, and the moments that no operation tells.
    ///
    /// # Errors
    /// A file cannot be read, or holds something else.
    pub fn load(folder: &Path) -> Result<Self> {
        let mut policies: HashMap<String, BTreeMap<u64, Arc<Policy>>> = HashMap::new();
        for file in ["policies.ndjson", "policies-made.ndjson"] {
            for state in lines::<PolicyState>(&folder.join(file))? {
                anyhow::ensure!(state.status == 200, "{} could not be read", state.policy_id);
                let policy = Arc::new(state.policy.to_string().parse()?);
                policies.entry(state.policy_id).or_default().insert(state.after_operation, policy);
            }
        }
        let answered = lines::<Answered>(&folder.join("moments.ndjson"))?;
        let answered = answered.into_iter().map(|at| (at.feed, at.after_operation)).collect();
        Ok(Self { policies, answered })
    }

    /// The last operation before the one that a record comes from.
    ///
    /// # Errors
    /// Nothing tells where the record comes from.
    pub fn of(&self, record: &CorpusRecord) -> Result<u64> {
        if let Some(answered) = self.answered.get(&record.n) {
            return Ok(*answered);
        }
        let operation = record.header("correlation-id").and_then(|id| id.strip_prefix("op-"));
        let operation: u64 = operation.with_context(|| format!("record {}: no moment", record.n))?.parse()?;
        Ok(operation - 1)
    }

    /// The policy as it was after an operation, compiled for a namespace and for the time at which a record came.
    ///
    /// # Errors
    /// The policy cannot be compiled, or imports one that the corpus does not have.
    pub fn enforcer(
        &self,
        policy: &str,
        namespace: &str,
        after: u64,
        received_ms: u64,
    ) -> Result<Option<Arc<Enforcer>>> {
        let state =
            |id: &str| self.policies.get(id)?.range(..=after).next_back().map(|(_, state)| state.clone());
        let Some(policy) = state(policy) else { return Ok(None) };
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(received_ms);
        let mut missing = Vec::new();
        let enforcer = Enforcer::compile(&policy, Some(namespace), now, |id| {
            let imported = state(&id.to_string());
            if imported.is_none() {
                missing.push(id.to_string());
            }
            imported
        })?;
        anyhow::ensure!(missing.is_empty(), "imports that the corpus does not have: {missing:?}");
        Ok(Some(Arc::new(enforcer)))
    }
}
