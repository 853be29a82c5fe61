//! Changes connections in an embedded store until it is killed, and says of each change that it begins, and that it was
//! answered: `keeper STORE SEED`.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use ditto_connection::Draft;
use ditto_connectivity::{
    ConnectionCommand, EmbeddedStore, Matches, Precondition, Registry, StoreKey, StoreKeys,
};
use ditto_protocol::ConnectionId;
use ditto_tests::service::definition;
use serde_json::json;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (path, seed) = (args.next().context("no path")?, args.next().context("no seed")?);
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned().into();
    let store = EmbeddedStore::open(path.as_ref(), StoreKeys::new(StoreKey::from_base64(&key)?))?;
    let registry = Registry::open(Arc::new(store))?;
    tokio::runtime::Builder::new_current_thread().build()?.block_on(change(&registry, seed.parse()?))
}

async fn change(registry: &Registry, mut seed: u64) -> anyhow::Result<()> {
    let say = |text: &str| -> anyhow::Result<()> {
        let mut out = std::io::stdout();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    };
    loop {
        // Knuth's; its upper bits are as good as any.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (n, what, name) = (seed >> 33 & 3, seed >> 37 & 3, seed >> 41 & 0xffff);
        let id: ConnectionId = format!("c{n}").parse()?;
        let known = registry.get(&id).is_some();
        let anything = Precondition::default();
        match (known, what) {
            (true, 0) => {
                say(&format!("begin {id} -"))?;
                registry.delete(&id, &anything).await?;
            }
            (true, 1) => {
                let name = registry.get(&id).and_then(|it| it.connection.name().map(str::to_owned));
                say(&format!("begin {id} {} closed", name.unwrap_or_default()))?;
                registry.command(&id, ConnectionCommand::Close).await?;
            }
            _ => {
                say(&format!("begin {id} {name} open"))?;
                let mut text = definition(
                    id.as_str(),
                    "localhost:9092",
                    &json!([{
                        "address": "t", "topics": ["_/_/things/twin/events"], "authorizationContext": ["a:b"],
                    }]),
                );
                if let Some(members) = text.as_object_mut() {
                    members.insert("name".to_owned(), name.to_string().into());
                }
                let text = text.to_string();
                let if_match = registry.get(&id).map(|it| Matches::Revisions(vec![it.revision]));
                let precondition = Precondition { if_match, if_none_match: None };
                registry.put(&id, |_| Draft::of_put(&text, &id).read(), &precondition).await?;
            }
        }
        say("done")?;
    }
}
