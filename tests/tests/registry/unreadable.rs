//! Connections that are kept and cannot be read any more, beside one that can.

use anyhow::{Context, ensure};
use ditto_tests::api::{Api, path};
use ditto_tests::broker::Broker;
use ditto_tests::secrets::store_key;
use ditto_tests::service::{Setup, event};
use ditto_tests::topics::Written;
use serde_json::{Value, json};

use crate::{eventually, to};

const OTHER_KEY: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";

#[test]
fn what_cannot_be_read_is_misconfigured_and_can_be_replaced_or_deleted() -> anyhow::Result<()> {
    const FEED: &str = "registry-unreadable";
    const OUT: &str = "registry-unreadable-out";
    let broker = Broker::of_this_run()?;
    broker.create_topic(FEED, 1, &[])?;
    broker.create_topic(OUT, 1, &[])?;
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    setup.managed(&broker, FEED, "", "")?;
    let config = std::fs::read_to_string(setup.path("config.toml"))?;
    let sealed_with = |key: &str| setup.write("config.toml", config.replace(&store_key(), key));
    let put = |api: &Api, id: &str| {
        let mut definition = to(id, &broker.listeners.plaintext, OUT);
        definition["targets"][0]["address"] = OUT.into();
        api.ask("PUT", &path(id, ""), Some(&definition))
    };
    let ids = ["back", "deleted", "replaced"];
    let service = setup.start_run()?;
    let api = Api::of(&service)?;
    for id in ids {
        ensure!(put(&api, id)?.status == 201, "{id}");
    }
    ensure!(api.command("replaced", "closeConnection")?.status == 200);
    service.stop()?.expect_code(0)?;

    // Another key: nobody reads them.
    sealed_with(OTHER_KEY)?;
    let service = setup.start_run()?;
    let api = Api::of(&service)?;
    ensure!(put(&api, "works")?.status == 201);
    let get = |rest: &str| Ok::<_, anyhow::Error>(api.ask("GET", rest, None)?.json());
    let names = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|it| it.as_str().map(str::to_owned)).collect()
    };
    ensure!(names(&get("/api/2/connections?ids-only=true")?) == ["back", "deleted", "replaced", "works"]);
    let all_ids = api.ids()?;
    ensure!(all_ids == ["back", "deleted", "replaced", "works"], "{all_ids:?}");
    let listed = get("/api/2/connections?fields=id,connectionStatus")?;
    let word = |id: &str, word: &str| json!({"id": id, "connectionStatus": word});
    let due = [
        ("back", "misconfigured"),
        ("deleted", "misconfigured"),
        ("replaced", "misconfigured"),
        ("works", "open"),
    ];
    ensure!(listed == Value::from(due.map(|(id, status)| word(id, status)).to_vec()), "{listed}");
    for id in ids {
        let shown = get(&path(id, ""))?;
        ensure!(shown["connectionStatus"] == "misconfigured", "{shown}");
        ensure!(shown["statusDetails"].as_str().is_some_and(|why| why.contains("key `")), "{shown}");
        let status = get(&path(id, "/status"))?;
        ensure!(status["liveStatus"] == "misconfigured", "{status}");
        let client = &status["clientStatus"][0];
        ensure!(client["statusDetails"].as_str().is_some_and(|why| why.contains("key `")), "{status}");
        for refused in [
            api.command(id, "openConnection")?,
            api.ask("GET", &path(id, "/logs"), None)?,
            api.piggyback(&json!({
                "type": "connectivity.commands:createConnection",
                "connection": to(id, &broker.listeners.plaintext, OUT),
            }))?,
        ] {
            ensure!(refused.status == 409, "{id}: {} {}", refused.status, refused.text());
            let error = refused.json();
            ensure!(error["description"].as_str().is_some_and(|it| it.contains("PUT")), "{error}");
        }
    }
    let metrics = api.ask("GET", "/metrics", None)?.text();
    ensure!(metrics.contains("ditto_connectivity_connections{status=\"misconfigured\"} 3\n"), "{metrics}");
    // The other one works.
    ensure!(api.command("works", "openConnection")?.status == 200);
    broker.write(FEED, [Written::of(event("thing", 0, &json!({})))])?;
    broker.wait_for(OUT, 1)?;

    let replaced = put(&api, "replaced")?;
    // It was created, closed, and is now replaced.
    ensure!(replaced.status == 204, "{} {}", replaced.status, replaced.text());
    ensure!(replaced.header("entity-revision") == Some("3"), "{replaced:?}");
    let deleted = api.ask("DELETE", &path("deleted", ""), None)?;
    ensure!((deleted.status, deleted.header("entity-revision")) == (204, Some("2")), "{deleted:?}");
    ensure!(api.ask("GET", &path("deleted", ""), None)?.status == 404);
    broker.write(FEED, [Written::of(event("thing", 1, &json!({})))])?;
    broker.wait_for(OUT, 3)?;
    let ended = service.stop()?;
    ended.expect_code(0)?;
    for id in ids {
        let told = ended.stderr.lines().find(|line| line.contains("not started") && line.contains(id));
        ensure!(told.context("it is not told")?.contains("key `"), "{}", ended.stderr);
    }

    // The key is found again: what nobody has touched is back.
    sealed_with(&format!("{OTHER_KEY}\"\nold_key = \"{}", store_key()))?;
    let service = setup.start_run()?;
    let api = Api::of(&service)?;
    ensure!(api.ids()? == ["back", "replaced", "works"], "{:?}", api.ids()?);
    eventually("it is back", || {
        Ok(api.ask("GET", &path("back", "/status"), None)?.json()["liveStatus"] == "open")
    })?;
    service.stop()?.expect_code(0)
}
