//! A marked secret in every place that takes one, taken through everything that the service says and writes. That it is
//! nowhere is looked at by the test kit, for each answer, record, file and line of the log; what has no mark is looked at here.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ditto_tests::broker::Broker;
use ditto_tests::ditto::Ditto;
use ditto_tests::http::{self, Answer};
use ditto_tests::secrets::{LOG_VARIABLE, Secrets, secret, store_key};
use ditto_tests::service::{Service, Setup, definition, event};
use ditto_tests::topics::Written;
use serde_json::{Value, json};

/// A key that nothing uses, and its certificate.
const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQghHNN2YHEXPftFQhCgL2WDZ9Zlt+tkSTQaCg5lEhYLtGhRANCAAQSZ+3cxjxgREMFqlwkPRqwrmLS4rIt+0ljn51Hpu6CpSFZOtWC4CLG3+doURBb/INLB7iMeHq1ShmOeXWkwqgn";
const CERTIFICATE: &str = "MIIBeTCCAR+gAwIBAgIUcBQ8hvN2IQYOkKyulmEUnwHjJUwwCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGY2xpZW50MCAXDTI2MTEyODIxMTYxMVoYDzIxMjYxMTA0MjExNjExWjARMQ8wDQYDVQQDDAZjbGllbnQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQSZ+3cxjxgREMFqlwkPRqwrmLS4rIt+0ljn51Hpu6CpSFZOtWC4CLG3+doURBb/INLB7iMeHq1ShmOeXWkwqgno1MwUTAdBgNVHQ4EFgQUpc8BXAgW+gOcWYTEv6Y0GrnT0IswHwYDVR0jBBgwFoAUpc8BXAgW+gOcWYTEv6Y0GrnT0IswDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBH0kSydlitL8jb8uN8i0JM99qWE0/XUHoZ6+fBWbfybwIhAIULG8bxWtbhphJN1EtReywIPk41pj1/BPuLj/E0P2+H";
/// What a definition keeps where no secret belongs, and gives to whoever reads it: it must still not be told otherwise.
const IN_HEADER: &str = "not-for-logs-of-headers";
const IN_SCRIPT: &str = "not-for-logs-of-scripts";

fn pem(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

/// A password with everything that has to be escaped somewhere, and as a uri has it.
fn tough() -> (String, String) {
    (format!("{}:/@#%ü\"\\ +", secret("tough")), format!("{}:%2F%40%23%25%C3%BC%22%5C%20+", secret("tough")))
}

struct Scene {
    broker: Broker,
    setup: Setup,
    service: Service,
    address: String,
    _ditto: (tokio::runtime::Runtime, Ditto),
}

impl Scene {
    fn start() -> anyhow::Result<Self> {
        let broker = Broker::of_this_run()?;
        for topic in ["canary-feed", "canary-out", "canary-letters", "canary-originals"] {
            broker.create_topic(topic, 1, &[])?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let ditto = runtime.block_on(Ditto::start())?;
        // The directory's login is refused: what it is told of that is logged.
        ditto.want_authorization(Some("Bearer another"));
        let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
        let hash = |name: &str| -> anyhow::Result<String> {
            setup.write("password", secret(name))?;
            let ended = setup.execute_on("password", &["hash-password"])?;
            ended.expect_code(0)?;
            Ok(ended.stdout.trim().to_owned())
        };
        let (devops, status) = (hash("devops")?, hash("status")?);
        setup.write(
            "config.toml",
            format!(
                "[store]\nkind = \"embedded\"\npath = \"connections.db\"\nkey = \"{key}\"\n\
                 [feed]\nkind = \"kafka\"\nbootstrap_servers = \"{server}\"\ntopics = [\"canary-feed\"]\n\
                 username = \"{user}\"\npassword = \"{password}\"\nsasl_mechanism = \"scram-sha-256\"\n\
                 group_id = \"canary\"\nstart_at = \"earliest\"\ninternal_headers = \"trust\"\n\
                 [lanes]\ndead_letters = \"{{{{ connection:id }}}}-letters\"\n[dead_letters]\ntopic = \"canary-originals\"\n\
                 [directory]\nkind = \"http\"\nurl = \"{ditto}\"\ntoken = \"{token}\"\n\
                 [http]\nbind = \"127.0.0.1:0\"\ninstance = \"one\"\ncors = true\n\
                 devops_password_hash = '{devops}'\nstatus_password_hash = '{status}'\n\
                 [http.jwt]\nissuer = \"https://issuer\"\njwks_url = \"{ditto}/keys\"\ndevops_subjects = [\"ann\"]\n\
                 [log]\nlevel = \"trace\"\n",
                key = store_key(),
                server = broker.listeners.sasl_plaintext,
                user = broker.username,
                password = broker.password,
                ditto = ditto.url(),
                token = secret("directory"),
            ),
        )?;
        let service = setup.start_run()?;
        let address = service.api_address()?;
        Ok(Self { broker, setup, service, address, _ditto: (runtime, ditto) })
    }

    /// An answer to `devops`, in which nothing of the key may be.
    fn ask(&self, method: &str, path: &str, body: Option<&str>) -> anyhow::Result<Answer> {
        let headers = [
            ("authorization".to_owned(), http::basic("devops", &secret("devops"))),
            (
                "content-type".to_owned(),
                if path.ends_with("/command") { "text/plain" } else { "application/json" }.to_owned(),
            ),
        ];
        let answer = http::request(&self.address, method, path, &headers, body.map(str::as_bytes))?;
        unmarked(false).ensure_none_in(path, &answer.body)?;
        Ok(answer)
    }

    fn piggyback(&self, command: &Value) -> anyhow::Result<Value> {
        let body = json!({
            "targetActorSelection": "/system/sharding/connection", "headers": {"aggregate": false},
            "piggybackCommand": command,
        });
        Ok(self.ask("POST", "/devops/piggyback/connectivity", Some(&body.to_string()))?.json())
    }

    /// Everything that can be asked of a connection.
    fn look_at(&self, id: &str) -> anyhow::Result<()> {
        let path = format!("/api/2/connections/{id}");
        for path in [
            path.clone(),
            format!("{path}?fields=uri,credentials,_revision"),
            format!("{path}/status"),
            format!("{path}/metrics"),
            format!("{path}/logs"),
            "/api/2/connections".to_owned(),
            "/api/2/connections?fields=id,uri,credentials(password,key,privateKey)".to_owned(),
            "/metrics".to_owned(),
            "/status/health".to_owned(),
            "/devops/config".to_owned(),
            "/devops/logging".to_owned(),
        ] {
            let answer = self.ask("GET", &path, None)?;
            ensure!(answer.status == 200, "{path}: {}", answer.text());
        }
        for kind in ["", "Status", "Metrics", "Logs"] {
            let kind = format!("connectivity.commands:retrieveConnection{kind}");
            let said = self.piggyback(&json!({"type": kind, "connectionId": id}))?;
            ensure!(said["status"] == 200, "{said}");
        }
        let signal = event("thing", 1, &json!({}));
        let explained = self.ask("POST", &format!("{path}/explain"), Some(&signal))?;
        ensure!(explained.status == 200, "{}", explained.text());
        Ok(())
    }

    fn wait_for(&self, id: &str, word: &str) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let status = self.ask("GET", &format!("/api/2/connections/{id}/status"), None)?.json();
            if status["liveStatus"] == word {
                return Ok(());
            }
            ensure!(start.elapsed() < Duration::from_secs(30), "not {word}: {status}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What has no mark: of the key, and also what definitions hold beside.
fn unmarked(with_definition: bool) -> Secrets {
    let mut texts = vec![KEY.get(20..60).unwrap_or(KEY), KEY.get(64..120).unwrap_or(KEY)];
    if with_definition {
        texts.extend([IN_HEADER, IN_SCRIPT]);
    }
    Secrets::of(&texts)
}

/// A connection that logs in, with a header and a script that hold what is not for everybody.
fn connection(broker: &Broker, login: &str) -> Value {
    let script = format!(
        "function mapFromDittoProtocolMsg() {{ /* {IN_SCRIPT} */ throw '{}'; }}",
        "no message for anybody"
    );
    let target = |address: &str| {
        json!({
            "address": address, "topics": ["_/_/things/twin/events"], "authorizationContext": ["integ:reader"],
            "headerMapping": {"x-token": format!("Bearer {IN_HEADER}")},
        })
    };
    let mut scripted = target("canary-out");
    scripted["payloadMapping"] = json!(["script"]);
    let mut connection = definition(
        "canary",
        &broker.listeners.sasl_plaintext,
        &json!([target("canary-out"), target("canary-out/{{ header:key }}"), scripted]),
    );
    connection["uri"] = format!("tcp://{login}@{}", broker.listeners.sasl_plaintext).into();
    connection["specificConfig"]["saslMechanism"] = "plain".into();
    connection["mappingDefinitions"] =
        json!({"script": {"mappingEngine": "JavaScript", "options": {"outgoingScript": script}}});
    connection["credentials"] = json!({"type": "plain", "username": "u", "password": secret("plain")});
    connection
}

#[test]
fn secrets_are_nowhere_but_where_they_are_used() -> anyhow::Result<()> {
    let scene = Scene::start()?;
    let broker = &scene.broker;
    let (_, tough) = tough();
    let right = format!("{}:{}", broker.username, broker.password);
    let wrong = connection(broker, &format!("{}:{tough}", broker.username));

    // A wrong password at the brokers: kept, told, tried; and the dry run of it.
    let answer = scene.ask("PUT", "/api/2/connections/canary", Some(&wrong.to_string()))?;
    ensure!([201, 504].contains(&answer.status), "{}", answer.text());
    scene.wait_for("canary", "misconfigured")?;
    scene.look_at("canary")?;
    let mut dry = wrong.clone();
    dry["id"] = "other".into();
    let answer = scene.ask("POST", "/api/2/connections?dry-run=true", Some(&dry.to_string()))?;
    ensure!(answer.status == 504, "{}", answer.text());
    let answer = scene.ask(
        "POST",
        "/api/2/connections/canary/command",
        Some("connectivity.commands:openConnection"),
    )?;
    ensure!(answer.status == 504, "{}", answer.text());

    // The right one: records go out, and fail, and are kept.
    let right = connection(broker, &right);
    let answer = scene.ask("PUT", "/api/2/connections/canary", Some(&right.to_string()))?;
    ensure!(answer.status == 204, "{}", answer.text());
    scene.wait_for("canary", "open")?;
    broker.write("canary-feed", (0..3).map(|n| Written::of(event("thing", n, &json!({})))))?;
    broker.write("canary-feed", [Written::of("no signal")])?;
    broker.wait_for("canary-out", 3)?;
    broker.wait_for("canary-letters", 6)?;
    broker.wait_for("canary-originals", 4)?;
    scene.look_at("canary")?;
    let out = broker.consume("canary-out")?;
    ensure!(out.iter().all(|it| it.header("x-token") == format!("Bearer {IN_HEADER}")), "{out:?}");
    for letter in broker.contents("canary-letters")?.iter().chain(&broker.contents("canary-originals")?) {
        for (name, value) in &letter.headers {
            unmarked(true).ensure_none_in(name, value)?;
        }
    }

    // What was read can be put back.
    let read = scene.ask("GET", "/api/2/connections/canary", None)?.json();
    ensure!(read["uri"].as_str().is_some_and(|uri| uri.contains(":*****@")), "{read}");
    ensure!(read["credentials"]["password"] == "*****", "{read}");
    ensure!(scene.ask("PUT", "/api/2/connections/canary", Some(&read.to_string()))?.status == 204);

    every_kind(&scene)?;
    mistakes(&scene)?;
    logins(&scene)?;

    let Scene { setup, service, .. } = scene;
    let status = service.status()?.to_string();
    unmarked(true).ensure_none_in("the status", status.as_bytes())?;
    let ended = service.stop()?;
    ended.expect_code(0)?;
    if std::env::var_os(LOG_VARIABLE).is_none() {
        ensure!(ended.stderr.contains("[redacted]"), "librdkafka does not say what it does");
    }
    unmarked(true).ensure_none_in("the log", ended.stderr.as_bytes())?;

    // Sealed in the store, and known again: with another key from now on.
    let store = std::fs::read(setup.path("connections.db"))?;
    unmarked(true).ensure_none_in("the store", &store)?;
    let config = std::fs::read_to_string(setup.path("config.toml"))?;
    let another = base64::engine::general_purpose::STANDARD.encode(format!("{:b<32}", secret("another")));
    let keys = format!("key = \"{another}\"\nold_key = \"{}\"", store_key());
    setup.write("config.toml", config.replace(&format!("key = \"{}\"", store_key()), &keys))?;
    let service = setup.start_run()?;
    let scene =
        Scene { broker: Broker::of_this_run()?, address: service.api_address()?, service, setup, ..scene };
    scene.wait_for("canary", "open")?;
    scene.look_at("canary")?;
    scene.service.stop()?.expect_code(0)
}

/// Credentials of each kind that there is, by both ways in.
fn every_kind(scene: &Scene) -> anyhow::Result<()> {
    let broker = &scene.broker;
    let login = format!("{}:{}", broker.username, broker.password);
    let client = json!({
        "type": "client-cert", "cert": pem("CERTIFICATE", CERTIFICATE), "key": pem("PRIVATE KEY", KEY),
    });
    let public = json!({
        "type": "public-key", "username": "u", "publicKey": "p", "privateKey": secret("private"),
    });
    let foreign = [
        json!({"type": "hmac", "algorithm": "aws4", "parameters": {
            "accessKey": secret("access"), "secretKey": secret("secret"), "sharedKey": secret("shared"),
        }}),
        json!({"type": "oauth-client-credentials", "tokenEndpoint": "http://h/t", "clientId": "c",
            "clientSecret": secret("client"), "requestedScopes": "s"}),
        json!({"type": "oauth-password", "tokenEndpoint": "http://h/t", "clientId": "c", "clientSecret": secret("client"),
            "requestedScopes": "s", "username": "u", "password": secret("password")}),
        json!({"type": "nothing", "password": secret("nothing")}),
        json!(secret("text")),
    ];
    let tunnel = json!({"enabled": true, "uri": "ssh://h:22", "validateHost": false, "knownHosts": [], "credentials": {
        "type": "plain", "username": "u", "password": secret("tunnel"),
    }});
    let mut definitions = Vec::new();
    for credentials in [client, public].into_iter().chain(foreign) {
        let mut definition = connection(broker, &login);
        definition["credentials"] = credentials;
        definitions.push(definition);
    }
    if let Some(definition) = definitions.first_mut() {
        definition["uri"] = format!("ssl://{login}@{}", broker.listeners.sasl_ssl).into();
        definition["specificConfig"]["bootstrapServers"] = broker.listeners.sasl_ssl.as_str().into();
    }
    let mut with_tunnel = connection(broker, &login);
    with_tunnel["sshTunnel"] = tunnel;
    definitions.push(with_tunnel);
    let mut kept = 0;
    for (n, definition) in definitions.iter().enumerate() {
        let id = format!("kind-{n}");
        let mut definition = definition.clone();
        definition["id"] = id.as_str().into();
        scene
            .piggyback(&json!({"type": "connectivity.commands:testConnection", "connection": definition}))?;
        let said = scene.piggyback(
            &json!({"type": "connectivity.commands:createConnection", "connection": definition}),
        )?;
        if said["status"] == 201 {
            kept += 1;
            scene.look_at(&id)?;
            definition["name"] = "changed".into();
            let command = json!({"type": "connectivity.commands:modifyConnection", "connection": definition});
            scene.piggyback(&command)?;
            scene
                .piggyback(&json!({"type": "connectivity.commands:deleteConnection", "connectionId": id}))?;
        }
        let Some(members) = definition.as_object_mut() else { continue };
        members.remove("id");
        let created = scene.ask("POST", "/api/2/connections", Some(&definition.to_string()))?;
        if created.status == 201 {
            let id = created.json()["id"].as_str().context("no id")?.to_owned();
            scene.ask("DELETE", &format!("/api/2/connections/{id}"), None)?;
        }
    }
    ensure!(kept == 2, "{kept} kinds are taken");
    Ok(())
}

/// Definitions and configurations that are wrong at or beside a secret, over the API and by the program.
fn mistakes(scene: &Scene) -> anyhow::Result<()> {
    let broker = &scene.broker;
    let login = format!("u:{}", secret("mistake"));
    let with = |pointer: &str, value: Value| {
        let mut definition = connection(broker, &login);
        if let Some((above, name)) = pointer.rsplit_once('/')
            && let Some(members) = definition.pointer_mut(above).and_then(Value::as_object_mut)
        {
            members.insert(name.to_owned(), value);
        }
        definition.to_string()
    };
    let whole = connection(broker, &login).to_string();
    let mut texts = vec![
        whole.replace("\"connectionType\"", "\"connectionType\" 5"),
        whole.replace(&secret("mistake"), &format!("{}\\q", secret("mistake"))),
        whole.split_inclusive(&secret("mistake")).next().unwrap_or_default().to_owned(),
        json!(login).to_string(),
        json!([login]).to_string(),
        with("/password", secret("nowhere").into()),
        with("/passwort", json!({"secret": secret("nowhere")})),
        with("/uri", json!({"tcp": login})),
        with("/uri", json!([login])),
        with("/uri", login.as_str().into()),
        with("/uri", "".into()),
        with("/specificConfig/bootstrapServers", format!("{login}@h:9092").into()),
        with("/specificConfig/bootstrapServers", format!("tcp://{login}@h:9092").into()),
        with("/credentials/password", json!([secret("list")])),
        with("/credentials/secret", secret("member").into()),
        with("/credentials/type", "client-cert".into()),
        with("/credentials", json!({"type": "client-cert", "key": secret("key"), "cert": "c"})),
        with("/credentials", json!({"type": "public-key", "privateKey": secret("key")})),
        with("/credentials", json!({"password": secret("no-kind")})),
        with("/sshTunnel", json!({"credentials": {"password": secret("tunnel")}})),
    ];
    for uri in [
        format!("tcp://{login}@"),
        format!("tcp://{login}"),
        format!("tcp://{login}%zz@h:1"),
        format!("tcp://{login} @h:1"),
        format!("tcp://{login}/@h:1"),
        format!("tcp://{login}#@h:1"),
        format!("tcp://{login}@h:1?q"),
        format!("tcp://{login}@h:0"),
        format!("tcp://{login}@h_h:1"),
        format!("kafka://{login}@h:1"),
        format!("TCP://{login}@h:1"),
        format!("{login}@h:1"),
        format!("tcp:{login}@h:1"),
        format!("tcp://h:1/{login}"),
        format!("tcp://h:1#{login}"),
    ] {
        texts.push(with("/uri", uri.into()));
    }
    for (n, text) in texts.iter().enumerate() {
        let posted = scene.ask("POST", "/api/2/connections", Some(text))?;
        ensure!(posted.status < 500, "{n}: {}", posted.text());
        scene.ask("POST", "/api/2/connections?dry-run=true&timeout=2s", Some(text))?;
        let path = format!("/api/2/connections/mistake-{n}");
        let put = scene.ask("PUT", &path, Some(text))?;
        ensure!([201, 400, 504].contains(&put.status), "{n}: {}", put.text());
        scene.ask("DELETE", &path, None)?;
        let command =
            format!("{{\"type\": \"connectivity.commands:createConnection\", \"connection\": {text}}}");
        let body = format!(
            "{{\"targetActorSelection\": \"/system/sharding/connection\", \"headers\": {{}}, \"piggybackCommand\": {command}}}"
        );
        scene.ask("POST", "/devops/piggyback/connectivity", Some(&body))?;
        scene.ask("POST", "/api/2/connections/canary/command", Some(text))?;
        scene.ask("PUT", "/devops/logging", Some(text))?;
        // A text alone is repeated to whoever takes it for a signal.
        if text.starts_with('{') {
            scene.ask("POST", "/api/2/connections/canary/explain", Some(text))?;
        }
        scene.setup.write("connections/mistake.json", text)?;
        let file = scene.setup.path("connections/mistake.json");
        let file = file.to_str().context("no text")?;
        for args in [
            ["check", file].as_slice(),
            &["check", file, "--format", "json"],
            &["explain", "--connection", file],
        ] {
            let ended = scene.setup.execute_on("connections/mistake.json", args)?;
            unmarked(true).ensure_none_in(
                "what a command says",
                format!("{}{}", ended.stdout, ended.stderr).as_bytes(),
            )?;
        }
    }
    let config = std::fs::read_to_string(scene.setup.path("config.toml"))?;
    let password = format!("password = \"{}\"", broker.password);
    for wrong in [
        format!("password = \"{}", broker.password),
        format!("password = [\"{}\"]", broker.password),
        format!("pasword = \"{}\"", broker.password),
        format!("{password}\n{password}"),
        format!("{password} x"),
        format!("password = \"{}\\q\"", broker.password),
        format!("password = \"{}${{NOT_THERE}}\"", broker.password),
        format!("password = {}", broker.password),
    ] {
        scene.setup.write("wrong.toml", config.replace(&password, &wrong))?;
        scene.setup.execute(&["run", "--config", "wrong.toml"])?.expect_code(78)?;
    }
    for (known, wrong) in [
        ("devops_password_hash = '", secret("no-hash")),
        ("jwks_url = \"", format!("http://u:{}@h/", secret("keys"))),
        ("url = \"", format!("http://u:{}@h/", secret("url"))),
        ("key = \"", secret("no-key")),
    ] {
        let (before, after) = config.split_once(known).context("no such key")?;
        let quote = known.chars().last().context("no quote")?;
        let (_, after) = after.split_once(quote).context("no end")?;
        scene.setup.write("wrong.toml", format!("{before}{known}{wrong}{quote}{after}"))?;
        scene.setup.execute(&["run", "--config", "wrong.toml"])?.expect_code(78)?;
    }
    Ok(())
}

/// Whoever is not let in, by every way to ask.
fn logins(scene: &Scene) -> anyhow::Result<()> {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!(
        "{}.{}.{}",
        part(json!({"alg": "ES256", "kid": "k"})),
        part(
            json!({"iss": "https://issuer", "sub": "ann", "exp": 4_000_000_000_u64, "secret": secret("claim")})
        ),
        URL_SAFE_NO_PAD.encode(secret("signature")),
    );
    for login in [
        http::basic("devops", &secret("guess")),
        http::basic("status", &secret("status")),
        http::basic(&secret("user"), "x"),
        format!("Basic {}", secret("no-base64")),
        format!("Bearer {token}"),
        format!("Bearer {}", secret("token")),
        format!("Digest {}", secret("digest")),
        secret("nothing"),
    ] {
        let headers = [("authorization".to_owned(), login)];
        let answer = http::request(&scene.address, "GET", "/api/2/connections", &headers, None)?;
        ensure!([401, 403, 429].contains(&answer.status), "{}", answer.text());
    }
    // No request at all.
    let text = format!("GET /x HTTP/1.1\r\nauthorization {}\r\n\r\n", secret("line"));
    let answer = http::send(&scene.address, text.as_bytes())?;
    ensure!(answer.status == 400, "{}", answer.text());
    Ok(())
}
