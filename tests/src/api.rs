//! The management API of a service that runs, as a script uses it.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::http::{self, Answer};
use crate::secrets::{self, secret};
use crate::service::{Service, Setup};

/// The password of `devops` in a [managed](Setup::managed) service.
#[must_use]
pub fn password() -> String {
    secret("devops")
}

/// Who has logged in as `devops`.
#[derive(Debug, Clone)]
pub struct Api {
    address: String,
}

impl Setup {
    /// Writes the configuration of a service that is changed by its API, keeps connections in the file `store`, and reads
    /// this topic. `of_feed` and `of_http` are lines more of the tables of these names.
    ///
    /// # Errors
    /// It cannot be written, or the program makes no hash of the password.
    pub fn managed(&self, broker: &Broker, feed: &str, of_feed: &str, of_http: &str) -> anyhow::Result<()> {
        self.write("password", password())?;
        let hash = self.execute_on("password", &["hash-password"])?.stdout;
        self.write(
            "config.toml",
            format!(
                "grace = \"20s\"\n[store]\nkind = \"embedded\"\npath = \"store\"\nkey = \"{}\"\n\
                 [feed]\nkind = \"kafka\"\nbootstrap_servers = \"{}\"\ntopics = [\"{feed}\"]\ngroup_id = \"{feed}\"\n\
                 internal_headers = \"trust\"\nsession_timeout = \"6s\"\n{of_feed}\n\
                 [http]\nbind = \"127.0.0.1:0\"\ninstance = \"one\"\ncors = true\ndevops_password_hash = '{}'\n{of_http}\n",
                secrets::store_key(),
                broker.listeners.plaintext,
                hash.trim()
            ),
        )
    }
}

impl Api {
    /// That of a service.
    ///
    /// # Errors
    /// It offers none.
    pub fn of(service: &Service) -> anyhow::Result<Self> {
        Ok(Self { address: service.api_address()? })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks, with a body of JSON if there is one.
    ///
    /// # Errors
    /// There is no answer.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let body = body.map(ToString::to_string);
        self.send(method, path, "application/json", body.as_deref())
    }

    /// Sends a command, such as `openConnection`, to a connection.
    ///
    /// # Errors
    /// There is no answer.
    pub fn command(&self, id: &str, command: &str) -> anyhow::Result<Answer> {
        let command = format!("connectivity.commands:{command}");
        self.send("POST", &path(id, "/command"), "text/plain", Some(&command))
    }

    /// A PUT of a connection that supposes something about its revision, as `If-Match` says it.
    ///
    /// # Errors
    /// There is no answer.
    pub fn put_if(&self, id: &str, if_match: &str, definition: &Value) -> anyhow::Result<Answer> {
        let body = definition.to_string();
        let if_match = ("if-match".to_owned(), if_match.to_owned());
        self.request("PUT", &path(id, ""), vec![of_type("application/json"), if_match], Some(&body))
    }

    /// Sends a `DevOps` command for a connection. What is answered has the status that whoever has carried it out says.
    ///
    /// # Errors
    /// There is no answer, or the request is none.
    pub fn piggyback(&self, command: &Value) -> anyhow::Result<Answer> {
        self.devops("/system/sharding/connection", command)
    }

    /// The ids of all connections, by a `DevOps` command.
    ///
    /// # Errors
    /// They are not answered.
    pub fn ids(&self) -> anyhow::Result<Vec<String>> {
        let command = json!({"type": "connectivity.commands:retrieveAllConnectionIds"});
        let answer = self.devops("/user/connectivityRoot/connectionIdsRetrieval", &command)?.json();
        let ids = answer["connectionIds"].as_array().with_context(|| answer.to_string())?;
        Ok(ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect())
    }

    fn devops(&self, target: &str, command: &Value) -> anyhow::Result<Answer> {
        let envelope = json!({
            "targetActorSelection": target, "headers": {"aggregate": false}, "piggybackCommand": command,
        });
        let answer = self.ask("POST", "/devops/piggyback/connectivity?timeout=60s", Some(&envelope))?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
        let status = answer.json()["status"].as_u64().context("an answer without status")?;
        Ok(Answer { status: u16::try_from(status)?, ..answer })
    }

    fn send(&self, method: &str, path: &str, media_type: &str, body: Option<&str>) -> anyhow::Result<Answer> {
        self.request(method, path, vec![of_type(media_type)], body)
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        mut headers: Vec<(String, String)>,
        body: Option<&str>,
    ) -> anyhow::Result<Answer> {
        headers.push(("authorization".to_owned(), http::basic("devops", &password())));
        http::request(&self.address, method, path, &headers, body.map(str::as_bytes))
    }
}

fn of_type(media_type: &str) -> (String, String) {
    ("content-type".to_owned(), media_type.to_owned())
}

/// The path of a connection, or of what belongs to it.
#[must_use]
pub fn path(id: &str, rest: &str) -> String {
    format!("/api/2/connections/{id}{rest}")
}
