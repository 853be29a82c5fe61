use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use ditto_connection::Draft;
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::store::{DirectoryStore, EmbeddedStore, MemoryStore, StoreKey, StoreKeys};

fn id(n: u8) -> ConnectionId {
    format!("c{n}").parse().unwrap()
}

fn text(name: u8, status: &str) -> String {
    let target =
        json!({"address": "t", "topics": ["_/_/things/twin/events"], "authorizationContext": ["a:b"]});
    json!({"name": name.to_string(), "connectionType": "kafka", "connectionStatus": status,
        "uri": "tcp://u:CANARY@localhost:9092", "targets": [target],
        "specificConfig": {"bootstrapServers": "localhost:9092", "saslMechanism": "plain"}})
    .to_string()
}

fn draft(n: u8, name: u8, status: &str) -> Connection {
    Draft::of_put(&text(name, status), &id(n)).read().unwrap()
}

fn status(is_open: bool) -> &'static str {
    if is_open { "open" } else { "closed" }
}

#[derive(Debug, Clone)]
enum Step {
    Create(u8, u8, bool),
    Put(u8, u8, bool, Option<u64>),
    Command(u8, bool),
    Delete(u8),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let revision = prop::option::weighted(0.3, 1..6_u64);
    let step = prop_oneof![
        3 => (0..3_u8, any::<u8>(), any::<bool>()).prop_map(|(id, name, open)| Step::Create(id, name, open)),
        4 => (0..3_u8, any::<u8>(), any::<bool>(), revision)
            .prop_map(|(id, name, open, revision)| Step::Put(id, name, open, revision)),
        3 => (0..3_u8, any::<bool>()).prop_map(|(id, open)| Step::Command(id, open)),
        2 => (0..3_u8).prop_map(Step::Delete),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..20)
}

/// A connection as a plain map has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plain {
    name: u8,
    status: &'static str,
    revision: u64,
    sequence: u64,
}

fn plain(registry: &Registry) -> BTreeMap<String, Plain> {
    let plain = registry.list().into_iter().map(|it| {
        let name = it.connection.name().unwrap().parse().unwrap();
        let status = it.connection.status().as_str();
        let plain = Plain { name, status, revision: it.revision, sequence: it.sequence };
        assert!(it.created <= it.modified);
        (it.connection.id().to_string(), plain)
    });
    plain.collect()
}

/// What each step answers and leaves behind, by a plain map.
async fn follow(steps: Vec<Step>, store: &dyn Fn() -> Arc<dyn ConnectionStore>) {
    let mut registry = Registry::open(store()).unwrap();
    let mut model: BTreeMap<String, Plain> = BTreeMap::new();
    let mut deleted: BTreeMap<String, u64> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Create(n, name, open) => {
                let answer = registry.create(draft(n, name, status(open))).await;
                let key = id(n).to_string();
                match model.entry(key) {
                    Entry::Occupied(_) => {
                        assert_eq!(answer.unwrap_err(), RegistryError::Conflict(id(n)));
                    }
                    Entry::Vacant(entry) => {
                        let sequence = deleted.remove(entry.key()).unwrap_or_default() + 1;
                        assert_eq!(answer.unwrap().revision, sequence);
                        entry.insert(Plain { name, status: status(open), revision: sequence, sequence });
                    }
                }
            }
            Step::Put(n, name, open, revision) => {
                let if_match = revision.map(|it| Matches::Revisions(vec![it]));
                let precondition = Precondition { if_match, if_none_match: None };
                let text = text(name, status(open));
                let read = |_: Option<&Connection>| Draft::of_put(&text, &id(n)).read();
                let answer = registry.put(&id(n), read, &precondition).await;
                let key = id(n).to_string();
                let known = model.get(&key);
                if revision.is_some_and(|it| known.is_none_or(|known| known.revision != it)) {
                    assert_eq!(answer.unwrap_err().status(), 412);
                    continue;
                }
                let sequence =
                    known.map_or_else(|| deleted.remove(&key).unwrap_or_default(), |it| it.sequence) + 1;
                assert_eq!(matches!(answer.unwrap(), Put::Modified(_)), known.is_some());
                model.insert(key, Plain { name, status: status(open), revision: sequence, sequence });
            }
            Step::Command(n, open) => {
                let command = if open { ConnectionCommand::Open } else { ConnectionCommand::Close };
                let answer = registry.command(&id(n), command).await;
                match model.get_mut(id(n).as_str()) {
                    None => assert_eq!(answer.unwrap_err().status(), 404),
                    Some(known) => {
                        known.status = status(open);
                        known.sequence += 1;
                        assert_eq!(answer.unwrap().sequence, known.sequence);
                    }
                }
            }
            Step::Delete(n) => {
                let answer = registry.delete(&id(n), &Precondition::default()).await;
                match model.remove(id(n).as_str()) {
                    None => assert_eq!(answer.unwrap_err().status(), 404),
                    Some(known) => {
                        answer.unwrap();
                        deleted.insert(id(n).to_string(), known.sequence + 1);
                    }
                }
            }
            Step::Restart => {
                drop(registry);
                registry = Registry::open(store()).unwrap();
            }
        }
        assert_eq!(plain(&registry), model);
    }
    drop(registry);
    assert_eq!(plain(&Registry::open(store()).unwrap()), model);
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_map_in_memory(steps in steps()) {
        let store: Arc<dyn ConnectionStore> = Arc::new(MemoryStore::default());
        block_on(follow(steps, &|| Arc::clone(&store)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_map_on_the_disk(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let key = SecretString::from("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        let keys = StoreKeys::new(StoreKey::from_base64(&key).unwrap());
        let path = folder.path().join("store");
        block_on(follow(steps, &|| Arc::new(EmbeddedStore::open(&path, keys.clone()).unwrap())));
    }
}

#[tokio::test]
async fn changes_of_one_connection_come_one_after_the_other() {
    let registry = Registry::open(Arc::new(MemoryStore::default())).unwrap();
    registry.create(draft(1, 0, "closed")).await.unwrap();
    let puts: Vec<_> = (1..=50_u8)
        .map(|name| {
            let registry = registry.clone();
            tokio::spawn(async move {
                let read = |_: Option<&Connection>| Ok(draft(1, name, "closed"));
                match registry.put(&id(1), read, &Precondition::default()).await.unwrap() {
                    Put::Modified(record) => record.revision,
                    Put::Created(_) => panic!("it was there"),
                }
            })
        })
        .collect();
    let mut revisions = Vec::new();
    for put in puts {
        revisions.push(put.await.unwrap());
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (2..=51).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_only_read_is_refused_and_nothing_changes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("1.json"), draft(1, 1, "closed").to_json_with_secrets().to_string())
        .unwrap();
    std::fs::write(folder.path().join("2.json"), "{").unwrap();
    let registry = Registry::open(Arc::new(DirectoryStore::new(folder.path()))).unwrap();
    let before = plain(&registry);
    for error in [
        registry.create(draft(2, 2, "closed")).await.unwrap_err(),
        registry.put(&id(1), |_| Ok(draft(1, 2, "closed")), &Precondition::default()).await.unwrap_err(),
        registry.command(&id(1), ConnectionCommand::Open).await.unwrap_err(),
        registry.delete(&id(1), &Precondition::default()).await.unwrap_err(),
    ] {
        assert_eq!(error.status(), 403, "{error}");
        assert!(error.to_json()["description"].as_str().unwrap().contains("embedded"), "{error}");
    }
    assert_eq!(plain(&registry), before);
    let [broken] = &*registry.unreadable() else { panic!("{:?}", registry.unreadable()) };
    assert!(broken.name.ends_with("2.json") && !broken.reason.is_empty());
}

#[tokio::test]
async fn what_is_refused_says_all_that_is_wrong() {
    let registry = Registry::open(Arc::new(MemoryStore::default())).unwrap();
    let wrong = text(1, "closed").replace("kafka", "kafak").replace("\"t\"", "\"t t\"");
    let read = |_: Option<&Connection>| Draft::of_put(&wrong, &id(1)).read();
    let error = registry.put(&id(1), read, &Precondition::default()).await.unwrap_err();
    let json = error.to_json();
    assert_eq!((error.status(), &json["status"]), (400, &json!(400)));
    assert!(json["findings"].as_array().unwrap().len() >= 2, "{json}");
    assert_eq!(registry.list(), []);

    let other = registry.put(&id(1), |_| Ok(draft(2, 1, "closed")), &Precondition::default()).await;
    assert_eq!(other.unwrap_err().to_json()["error"], "connectivity:id.notsettable");

    // What is masked is what is stored.
    registry.create(draft(1, 1, "closed")).await.unwrap();
    let masked = registry.get(&id(1)).unwrap().connection.to_json().to_string();
    let read =
        |stored: Option<&Connection>| Draft::of_put(&masked, &id(1)).with_secrets_of(stored.unwrap()).read();
    registry.put(&id(1), read, &Precondition::default()).await.unwrap();
    assert!(registry.get(&id(1)).unwrap().connection.to_json_with_secrets().to_string().contains("CANARY"));
    assert!(!format!("{registry:?} {:?}", registry.list()).contains("CANARY"));
}

/// A store with the connections 0 to 3; all but 0 are sealed with a key that is not there any more.
fn partly_lost(folder: &std::path::Path) -> Arc<dyn ConnectionStore> {
    let path = folder.join("store");
    let keys = |first: &str| {
        let key = SecretString::from(format!("{first}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
        StoreKeys::new(StoreKey::from_base64(&key).unwrap())
    };
    let store = EmbeddedStore::open(&path, keys("B")).unwrap();
    for n in 1..4 {
        store.put(&Record::first(draft(n, n, "open"), 7)).unwrap();
    }
    drop(store);
    let store = EmbeddedStore::open(&path, keys("A")).unwrap();
    store.put(&Record::first(draft(0, 0, "open"), 1)).unwrap();
    Arc::new(store)
}

#[tokio::test]
async fn what_cannot_be_read_is_told_replaced_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let store = partly_lost(folder.path());
    let registry = Registry::open(Arc::clone(&store)).unwrap();
    assert_eq!(plain(&registry).into_keys().collect::<Vec<_>>(), ["c0"]);
    let unreadable = registry.unreadable();
    assert_eq!(unreadable.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["c1", "c2", "c3"]);
    assert!(unreadable.iter().all(|it| it.reason.contains("key `") && it.sequence == 7), "{unreadable:?}");
    assert!(matches!(registry.missing(&id(1)), RegistryError::Unreadable { .. }));
    assert!(matches!(registry.missing(&id(4)), RegistryError::NotFound(_)));

    // Nobody changes what nobody can read, and nobody adds it a second time.
    for error in [
        registry.create(draft(1, 1, "open")).await.unwrap_err(),
        registry.command(&id(1), ConnectionCommand::Open).await.unwrap_err(),
    ] {
        assert_eq!(
            (error.status(), &error.to_json()["error"]),
            (409, &json!("connectivity:connection.conflict"))
        );
        assert!(error.to_json()["message"].as_str().unwrap().contains("key `"), "{error}");
    }
    // There is one, and it has no revision that anybody could know.
    let any = || Some(Matches::Any);
    let none = Precondition { if_match: None, if_none_match: any() };
    let some = Precondition { if_match: any(), if_none_match: None };
    let seventh = Precondition { if_match: Some(Matches::Revisions(vec![7])), if_none_match: None };
    let put = |n: u8, precondition: Precondition| {
        let (registry, read) = (registry.clone(), move |_: Option<&Connection>| Ok(draft(n, 9, "closed")));
        async move { registry.put(&id(n), read, &precondition).await }
    };
    assert_eq!(put(1, none).await.unwrap_err().status(), 412);
    assert_eq!(put(1, seventh.clone()).await.unwrap_err().status(), 412);
    assert_eq!(registry.delete(&id(2), &seventh).await.unwrap_err().status(), 412);
    assert_eq!(registry.unreadable().len(), 3);

    let Ok(Put::Modified(record)) = put(1, some.clone()).await else { panic!("it was there") };
    assert_eq!((record.revision, record.sequence), (8, 8));
    assert_eq!(registry.delete(&id(2), &some).await, Ok(8));
    assert_eq!(registry.delete(&id(2), &some).await.unwrap_err().status(), 404);
    assert_eq!(registry.create(draft(2, 2, "closed")).await.unwrap().sequence, 9);
    let left = |registry: &Registry| {
        let unreadable = registry.unreadable().into_iter().map(|it| it.name).collect::<Vec<_>>();
        (plain(registry), unreadable)
    };
    let before = left(&registry);
    assert_eq!((before.0.len(), before.1.clone()), (3, vec!["c3".to_owned()]));
    drop(registry);
    assert_eq!(left(&Registry::open(store).unwrap()), before);
}
