//! The calls of Ditto's web UI, one after the other as it makes them, with every member that it reads (ui-calls.md). How the UI
//! itself was tried is in docs/testing.md.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ditto_tests::api::password;
use ditto_tests::broker::Broker;
use ditto_tests::http::{self, Answer};
use ditto_tests::service::event;
use ditto_tests::topics::Written;
use serde_json::{Value, json};

use super::management::start;

const ORIGIN: &str = "http://ui.example:8000";
const TYPES: [&str; 9] = [
    "consumed",
    "mapped",
    "dropped",
    "enforced",
    "acknowledged",
    "throttled",
    "dispatched",
    "filtered",
    "published",
];

/// A page from elsewhere, logged in.
struct Page {
    address: String,
}

impl Page {
    /// A call as the browser makes it: first it asks whether it may.
    fn call(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Option<&str>,
    ) -> anyhow::Result<Answer> {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let preflight = [
            header("origin", ORIGIN),
            header("access-control-request-method", method),
            header("access-control-request-headers", "authorization,content-type"),
        ];
        let may = http::request(&self.address, "OPTIONS", path, &preflight, None)?;
        let names = |name: &str, wanted: &str| {
            let listed = may.header(name).unwrap_or_default().split(',');
            listed.map(str::trim).any(|it| it.eq_ignore_ascii_case(wanted))
        };
        ensure!(may.status == 200 && may.header("access-control-allow-origin") == Some(ORIGIN), "{may:?}");
        ensure!(names("access-control-allow-methods", method), "{may:?}");
        ensure!(
            ["authorization", "content-type"].iter().all(|it| names("access-control-allow-headers", it)),
            "{may:?}"
        );
        let headers = [
            header("origin", ORIGIN),
            ("authorization".to_owned(), http::basic("devops", &password())),
            header("content-type", content_type),
        ];
        let answer = http::request(&self.address, method, path, &headers, body.map(str::as_bytes))?;
        // Without it the page does not see the answer.
        let origin = answer.header("access-control-allow-origin");
        ensure!(origin.is_some_and(|it| it == ORIGIN || it == "*"), "{answer:?}");
        Ok(answer)
    }

    /// What a call is answered with JSON, which must be no error in disguise.
    fn json(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let body = body.map(Value::to_string);
        let answer = self.call(method, path, "application/json", body.as_deref())?;
        ensure!([200, 201].contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.text());
        let answer = answer.json();
        ensure!(answer.get("?").is_none(), "{answer}");
        Ok(answer)
    }

    fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.json("GET", path, None)
    }

    /// A button: the answer is not looked at.
    fn command(&self, path: &str, command: &str) -> anyhow::Result<()> {
        let command = format!("connectivity.commands:{command}");
        let answer = self.call("POST", &format!("{path}/command"), "text/plain", Some(&command))?;
        ensure!(answer.status == 200, "{command}: {}", answer.text());
        Ok(())
    }

    fn put(&self, path: &str, definition: &Value) -> anyhow::Result<()> {
        let answer = self.call("PUT", path, "application/json", Some(&definition.to_string()))?;
        ensure!(answer.status == 204 && answer.text().is_empty(), "{} {}", answer.status, answer.text());
        Ok(())
    }

    /// The table of connections: name, live status, recovery status.
    fn table(&self) -> anyhow::Result<Vec<[String; 3]>> {
        let list = self.get("/api/2/connections")?;
        let list = list.as_array().context("the list is no array")?;
        list.iter()
            .map(|connection| {
                let id = text(connection, "/id")?;
                let name = connection["name"].as_str().filter(|name| !name.is_empty()).unwrap_or(id);
                let status = self.get(&format!("/api/2/connections/{id}/status"))?;
                let (live, recovery) = (text(&status, "/liveStatus")?, text(&status, "/recoveryStatus")?);
                ensure!(["open", "closed", "failed", "misconfigured", "unknown"].contains(&live), "{status}");
                ensure!(
                    ["succeeded", "ongoing", "backOffLimitReached", "unknown"].contains(&recovery),
                    "{status}"
                );
                Ok([name, live, recovery].map(str::to_owned))
            })
            .collect()
    }

    fn wait_for_row(&self, row: [&str; 3]) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let table = self.table()?;
            if table.iter().any(|it| *it == row) {
                return Ok(());
            }
            ensure!(start.elapsed() < Duration::from_secs(30), "no {row:?} in {table:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The table of logs, and whether the button says that they are written.
    fn logs(&self, path: &str) -> anyhow::Result<(Vec<Value>, bool)> {
        let logs = self.get(&format!("{path}/logs"))?;
        let entries = logs["connectionLogs"].as_array().context("no array of entries")?.clone();
        for entry in &entries {
            text(entry, "/timestamp")?.parse::<jiff::Timestamp>()?;
            ensure!(
                ["source", "target", "response", "connection"].contains(&text(entry, "/category")?),
                "{entry}"
            );
            let step = text(entry, "/type")?;
            ensure!(TYPES.contains(&step) || step == "other", "{entry}");
            ensure!(["success", "failure"].contains(&text(entry, "/level")?), "{entry}");
            text(entry, "/correlationId")?;
            text(entry, "/message")?;
            ensure!(entry.get("entityType").is_none_or(Value::is_string), "{entry}");
        }
        ensure!(
            logs["enabledUntil"].is_null()
                || text(&logs, "/enabledUntil")?.parse::<jiff::Timestamp>().is_ok()
        );
        Ok((entries, logs["enabledUntil"].is_string()))
    }

    /// The table of metrics: direction, type, level, and the counts of a minute, an hour and a day.
    fn metrics(&self, path: &str) -> anyhow::Result<Vec<(String, [u64; 3])>> {
        let metrics = self.get(&format!("{path}/metrics"))?;
        let mut table = Vec::new();
        for (direction, types) in metrics["connectionMetrics"].as_object().context("no metrics")? {
            for (kind, entry) in types.as_object().into_iter().flatten() {
                for level in ["success", "failure"] {
                    let count = |window: &str| entry[level][window].as_u64().context("no number");
                    let counts = [count("PT1M")?, count("PT1H")?, count("PT24H")?];
                    table.push((format!("{direction} {kind} {level}"), counts));
                }
            }
        }
        Ok(table)
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> anyhow::Result<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no text at {pointer} in {value}"))
}

/// What the template `Kafka 2.x` of the UI becomes without its sources, which are not built.
fn template(servers: &str, address: &str) -> Value {
    json!({
        "name": "from the template", "connectionType": "kafka", "connectionStatus": "closed", "failoverEnabled": true,
        "uri": format!("tcp://{servers}"),
        "specificConfig": { "bootstrapServers": servers, "saslMechanism": "plain" }, "sources": [],
        "targets": [{
            "address": address, "authorizationContext": ["integ:reader"],
            "topics": ["_/_/things/twin/events", "_/_/things/live/messages", "_/_/connections/announcements"],
        }],
    })
}

#[test]
fn the_connections_tab_works() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    let (_setup, service, api) = start(&broker, "web-ui", "")?;
    let address = api.address().to_owned();
    broker.create_topic("web-ui-out", 1, &[])?;
    let page = Page { address: address.clone() };
    // The tab of things is there first, with another login: nobody may be asked to log in again.
    let main = [
        ("authorization".to_owned(), http::basic("ditto", "ditto")),
        ("origin".to_owned(), ORIGIN.to_owned()),
    ];
    let things = http::request(&address, "GET", "/api/2/search/things?fields=thingId", &main, None)?;
    ensure!(things.status == 404, "{things:?}");
    ensure!(page.table()?.is_empty());

    // Create.
    let servers = &broker.listeners.plaintext;
    let dry = page.json("POST", "/api/2/connections?dry-run=true", Some(&template(servers, "web-ui-out")));
    ensure!(dry.is_ok(), "{dry:?}");
    ensure!(page.table()?.is_empty());
    let created = page.json("POST", "/api/2/connections", Some(&template(servers, "web-ui-out")))?;
    let (id, name) = (text(&created, "/id")?, text(&created, "/name")?);
    let path = format!("/api/2/connections/{id}");
    ensure!(page.table()? == [[name, "closed", "unknown"].map(str::to_owned)]);
    ensure!(page.logs(&path)? == (Vec::new(), false));
    ensure!(page.metrics(&path)?.is_empty());

    // Edit and save: opened, named otherwise, with scripts. What is read can be put back as it is.
    let mut edited = page.get(&path)?;
    ensure!(edited["id"] == *id && edited["name"] == *name);
    edited["connectionStatus"] = "open".into();
    edited["name"] = "edited".into();
    edited["mappingDefinitions"] = json!({ "javascript": { "mappingEngine": "JavaScript", "options": {
        "incomingScript": "function mapToDittoProtocolMsg() { return null; }",
        "outgoingScript": "function mapFromDittoProtocolMsg() { return null; }",
    } } });
    page.put(&path, &edited)?;
    page.wait_for_row(["edited", "open", "succeeded"])?;
    let read = page.get(&path)?;
    for script in ["incomingScript", "outgoingScript"] {
        text(&read, &format!("/mappingDefinitions/javascript/options/{script}"))?;
    }
    page.put(&path, &read)?;
    ensure!(page.get(&path)? == read);
    let status = page.get(&format!("{path}/status"))?;
    ensure!(
        status["connectionStatus"] == "open" && status["clientStatus"][0]["statusDetails"] == "CONNECTED",
        "{status}"
    );
    ensure!(status["targetStatus"][0]["address"] == "web-ui-out", "{status}");

    // A signal for somebody, one for nobody, and what the connection says of itself.
    let twin = |revision| event("thing", revision, &json!({}));
    let mut nobody: Value = serde_json::from_str(&twin(2))?;
    nobody["headers"]["ditto-read-subjects"] = json!(["integ:other"]);
    broker
        .write("web-ui", [Written::of(twin(1)), Written::of(nobody.to_string()), Written::of("no signal")])?;
    broker.wait_for("web-ui-out", 2)?;
    let published = |level: &str| format!("outbound published {level}");
    let start = Instant::now();
    while !page.metrics(&path)?.contains(&(published("success"), [2, 2, 2])) {
        ensure!(start.elapsed() < Duration::from_secs(30), "{:?}", page.metrics(&path)?);
        thread::sleep(Duration::from_millis(50));
    }
    let metrics = page.metrics(&path)?;
    ensure!(metrics.contains(&("outbound dispatched success".to_owned(), [2, 2, 2])), "{metrics:?}");
    ensure!(metrics.len() == 14 && metrics.contains(&(published("failure"), [0, 0, 0])), "{metrics:?}");
    funnel(&page, &path)?;
    prometheus(&address, id)?;

    // Logs, and the buttons above them.
    let (entries, is_on) = page.logs(&path)?;
    ensure!(is_on && entries.iter().any(|entry| entry["type"] == "published"), "{entries:?}");
    // How it stands is looked at from time to time.
    let start = Instant::now();
    while !page.logs(&path)?.0.iter().any(|entry| entry["message"] == "it is open") {
        ensure!(start.elapsed() < Duration::from_secs(30), "it is not written that it is open");
        thread::sleep(Duration::from_millis(50));
    }
    page.command(&path, "enableConnectionLogs")?;
    ensure!(page.logs(&path)?.1);
    page.command(&path, "resetConnectionLogs")?;
    let (entries, is_on) = page.logs(&path)?;
    ensure!(is_on && entries.iter().all(|entry| entry["category"] == "connection"), "{entries:?}");
    page.command(&path, "resetConnectionMetrics")?;
    let metrics = page.metrics(&path)?;
    ensure!(metrics.len() == 14 && metrics.iter().all(|(_, counts)| *counts == [0; 3]), "{metrics:?}");

    // A mistake is shown: the dialog reads these members.
    let mut wrong = read.clone();
    wrong["targets"][0]["address"] = "{{ thing:idd }}".into();
    let refused = page.call("PUT", &path, "application/json", Some(&wrong.to_string()))?;
    let problem = refused.json();
    ensure!(refused.status == 400 && problem["status"] == 400, "{problem}");
    ensure!(text(&problem, "/message")?.contains("thing:id"), "{problem}");
    text(&problem, "/description")?;
    text(&problem, "/error")?;

    // Closed by editing, what was seen stays; deleted, nothing does.
    let mut closed = read.clone();
    closed["connectionStatus"] = "closed".into();
    page.put(&path, &closed)?;
    page.wait_for_row(["edited", "closed", "unknown"])?;
    let (entries, is_on) = page.logs(&path)?;
    ensure!(!is_on && entries.last().is_some_and(|entry| entry["message"] == "closed"), "{entries:?}");
    ensure!(page.metrics(&path)?.is_empty());
    let deleted = page.call("DELETE", &path, "application/json", None)?;
    ensure!(deleted.status == 204 && page.table()?.is_empty());
    service.stop()?.expect_code(0)
}

/// How far the signals have come, beside what the UI reads.
fn funnel(page: &Page, path: &str) -> anyhow::Result<()> {
    let funnel = page.get(&format!("{path}/metrics"))?["funnel"].take();
    ensure!(funnel["feed"]["received"] == 3, "{funnel}");
    ensure!(funnel["feed"]["undecodable"]["not-ditto-protocol"] == 1, "{funnel}");
    ensure!(funnel["feed"]["unselected"] == 1, "{funnel}");
    let target = &funnel["targets"]["web-ui-out"];
    // With the announcement.
    for (step, n) in
        [("kindAndNamespace", 3), ("selected", 2), ("authorized", 2), ("filtered", 2), ("mapped", 2)]
    {
        ensure!(target[step] == n, "{step}: {funnel}");
    }
    ensure!(target["published"] == 2 && target["passedOver"]["unauthorized"] == 1, "{funnel}");
    Ok(())
}

/// The same for Prometheus; every name is documented, and no series comes twice.
fn prometheus(address: &str, id: &str) -> anyhow::Result<()> {
    let login = [("authorization".to_owned(), http::basic("devops", &password()))];
    let metrics = http::request(address, "GET", "/metrics", &login, None)?.text();
    let of_target = format!("id=\"{id}\",address=\"web-ui-out\"");
    for line in [
        format!(
            "connection_messages_total{{id=\"{id}\",type=\"kafka\",category=\"published\",direction=\"outbound\",success=\"true\"}} 2"
        ),
        format!("connection_client{{id=\"{id}\",type=\"kafka\"}} 1"),
        format!("connecting_client{{id=\"{id}\",type=\"kafka\"}} 0"),
        format!(
            "message_mapping_seconds_count{{ditto_connection_id=\"{id}\",ditto_connection_type=\"kafka\",direction=\"outbound\",segment=\"overall\",ditto_mapping_success=\"true\"}} 2"
        ),
        format!("ditto_connectivity_connection_status{{id=\"{id}\",status=\"open\"}} 1"),
        format!("ditto_connectivity_connection_status{{id=\"{id}\",status=\"failed\"}} 0"),
        format!("ditto_connectivity_target_steps_total{{{of_target},step=\"kind-and-namespace\"}} 3"),
        format!("ditto_connectivity_target_steps_total{{{of_target},step=\"authorized\"}} 2"),
        format!(
            "ditto_connectivity_target_signals_total{{{of_target},outcome=\"passed-over\",reason=\"unauthorized\"}} 1"
        ),
        format!(
            "ditto_connectivity_target_signals_total{{{of_target},outcome=\"failed\",reason=\"mapping\"}} 0"
        ),
        format!("ditto_connectivity_target_in_flight{{{of_target}}} 0"),
        format!("ditto_connectivity_feed_records_total{{lane=\"{id}\",kind=\"received\"}} 3"),
    ] {
        ensure!(metrics.lines().any(|it| it == line), "no {line} in\n{metrics}");
    }
    let documented = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md"))?;
    let mut series = Vec::new();
    for line in metrics.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next().unwrap_or_default();
            let short = name.strip_prefix("ditto_connectivity_script");
            let is_known = |name: &str| documented.contains(&format!("`{name}"));
            ensure!(
                is_known(name) || short.is_some_and(|it| is_known(&format!("…{it}"))),
                "{name} is not documented"
            );
        } else if !line.starts_with('#') {
            series.extend(line.rsplit_once(' ').map(|(series, _)| series));
        }
    }
    let n_series = series.len();
    series.sort_unstable();
    series.dedup();
    ensure!(series.len() == n_series, "a series comes twice:\n{metrics}");
    Ok(())
}

/// The tab Operations, with the commands that it offers, and what the Connections tab asks if its environment says Ditto 2.
#[test]
fn the_operations_tab_works() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    let (_setup, service, api) = start(&broker, "web-ui-devops", "")?;
    let address = api.address().to_owned();
    broker.create_topic("web-ui-devops-out", 1, &[])?;
    let page = Page { address };
    let levels = page.get("/devops/logging")?;
    let of_instance = levels.pointer("/connectivity/one").context("no such instance")?;
    ensure!(of_instance["instance"] == "one", "{levels}");
    let loggers = of_instance["loggerConfigs"].as_array().context("no loggers")?;
    ensure!(
        !loggers.is_empty() && loggers.iter().all(|it| it["logger"].is_string() && it["level"].is_string()),
        "{levels}"
    );
    let change = json!({ "logger": loggers[0]["logger"], "level": loggers[0]["level"] });
    page.json("PUT", "/devops/logging/connectivity", Some(&change))?;

    let ask = |path: &str, selection: &str, headers: &Value, command: &Value| {
        let body =
            json!({ "targetActorSelection": selection, "headers": headers, "piggybackCommand": command });
        page.json("POST", path, Some(&body))
    };
    const SHARD: &str = "/system/sharding/connection";
    const IDS: &str = "/user/connectivityRoot/connectionIdsRetrieval";
    let command =
        |name: &str, id: &str| json!({ "type": format!("connectivity.commands:{name}"), "connectionId": id });
    // As the Connections tab asks of Ditto 2.
    let two = |name: &str, is_of_group: bool, command: &Value| {
        let headers = if is_of_group {
            json!({ "aggregate": false, "is-group-topic": true })
        } else {
            json!({ "aggregate": false })
        };
        ask("/devops/piggyback/connectivity", SHARD, &headers, command).with_context(|| name.to_owned())
    };
    let mut definition = template(&broker.listeners.plaintext, "web-ui-devops-out");
    definition["id"] = "0k1x9z".into();
    let create = json!({ "type": "connectivity.commands:createConnection", "connection": definition });
    ensure!(two("create", false, &create)?["connection"]["id"] == "0k1x9z");
    let read = two("retrieve", false, &command("retrieveConnection", "0k1x9z"))?["connection"].take();
    ensure!(read["name"] == definition["name"], "{read}");
    let mut open = read.clone();
    open["connectionStatus"] = "open".into();
    let modify = json!({ "type": "connectivity.commands:modifyConnection", "connection": open });
    ensure!(two("modify", false, &modify)?["status"] == 204);
    let status = two("status", false, &command("retrieveConnectionStatus", "0k1x9z"))?;
    ensure!(status["liveStatus"] == "open" && status["recoveryStatus"] == "succeeded", "{status}");
    let logs = two("logs", true, &command("retrieveConnectionLogs", "0k1x9z"))?;
    ensure!(logs["connectionLogs"].is_array() && logs["enabledUntil"].is_string(), "{logs}");
    let metrics = two("metrics", true, &command("retrieveConnectionMetrics", "0k1x9z"))?;
    ensure!(
        metrics.pointer("/connectionMetrics/outbound/published/failure/PT24H") == Some(&json!(0)),
        "{metrics}"
    );
    for name in ["enableConnectionLogs", "resetConnectionLogs", "resetConnectionMetrics"] {
        ensure!(two(name, true, &command(name, "0k1x9z"))?["status"] == 200, "{name}");
    }

    // The templates of the Operations tab.
    let five = "/devops/piggyback/connectivity?timeout=5";
    let sudo = json!({ "aggregate": false, "is-group-topic": false, "ditto-sudo": true });
    let plain = json!({ "aggregate": false, "is-group-topic": false });
    let of = |name: &str| ask(five, SHARD, &sudo, &command(name, "0k1x9z"));
    ensure!(of("retrieveConnection")?["connection"]["id"] == "0k1x9z");
    let all = json!({ "type": "connectivity.commands:retrieveAllConnectionIds" });
    ensure!(ask(five, IDS, &sudo, &all)?["connectionIds"] == json!(["0k1x9z"]));
    let tagged =
        json!({ "type": "connectivity.sudo.commands:sudoRetrieveConnectionIdsByTag", "tag": "none" });
    ensure!(ask(five, IDS, &plain, &tagged)?["connectionIds"] == json!([]));
    let tags =
        json!({ "type": "connectivity.sudo.commands:sudoRetrieveConnectionTags", "connectionId": "0k1x9z" });
    ensure!(ask(five, SHARD, &plain, &tags)?["connectionTags"] == json!([]));
    ensure!(of("retrieveConnectionMetrics")?["connectionMetrics"].is_object());
    ensure!(of("retrieveConnectionLogs")?["connectionLogs"].is_array());
    ensure!(of("enableConnectionLogs")?["status"] == 200);
    ensure!(of("closeConnection")?["status"] == 200);
    ensure!(page.table()? == [["from the template", "closed", "unknown"].map(str::to_owned)]);
    ensure!(of("openConnection")?["status"] == 200);
    page.wait_for_row(["from the template", "open", "succeeded"])?;
    ensure!(
        ask(
            five,
            SHARD,
            &sudo,
            &json!({ "type": "connectivity.commands:modifyConnection", "connection": read })
        )?["status"]
            == 204
    );
    ensure!(two("delete", false, &command("deleteConnection", "0k1x9z"))?["status"] == 204);
    ensure!(page.table()?.is_empty());
    service.stop()?.expect_code(0)
}
