//! Configuration files of the broker.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::certificates::{Certificates, STORE_PASSWORD};
use super::ports::Ports;
use super::state::StateDir;

/// Who may log in, with what password. The first one is for tests: they find its password where it must not be. The other one is
/// who vectors and the reference's example name.
pub(crate) const USERS: [(&str, &str); 2] = [("keeper", "CanaryBird7-of-the-broker"), ("user", "password")];

const LOG4J: &str = "\
log4j.rootLogger=WARN, err
log4j.appender.err=org.apache.log4j.ConsoleAppender
log4j.appender.err.target=System.err
log4j.appender.err.layout=org.apache.log4j.PatternLayout
log4j.appender.err.layout.ConversionPattern=[%d] %p %m (%c)%n
log4j.logger.org.apache.kafka.common.utils.AppInfoParser=ERROR
";

const LOG4J2: &str = "\
rootLogger.level=warn
rootLogger.appenderRef.err.ref=err
appender.err.name=err
appender.err.type=Console
appender.err.target=SYSTEM_ERR
appender.err.layout.type=PatternLayout
appender.err.layout.pattern=[%d] %p %m (%c)%n
";

/// Kafka 3 reads the first file, Kafka 4 the second.
pub(crate) fn java_options(dir: &StateDir) -> Vec<String> {
    vec![
        format!("-Dlog4j.configuration=file:{}", dir.log4j().display()),
        format!("-Dlog4j2.configurationFile={}", dir.log4j2().display()),
    ]
}

pub(crate) fn write(dir: &StateDir, ports: &Ports, certificates: &Certificates) -> anyhow::Result<()> {
    let write = |path: &Path, text: &str| {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write(&dir.log4j(), LOG4J)?;
    write(&dir.log4j2(), LOG4J2)?;
    write(&dir.server_properties(), &server_properties(&dir.data(), ports, certificates))
}

fn server_properties(data: &Path, ports: &Ports, certificates: &Certificates) -> String {
    let listeners = ports.listeners();
    let clients = |proxied: &str| {
        format!(
            "PLAINTEXT://{},SASL_PLAINTEXT://{},SASL_SSL://{},WRONG_NAME://{},MUTUAL://{},PROXIED://{proxied}",
            listeners.plaintext,
            listeners.sasl_plaintext,
            listeners.sasl_ssl,
            listeners.wrong_name,
            listeners.mutual,
        )
    };
    let controller = format!("127.0.0.1:{}", ports.controller);
    let mut text = format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
controller.listener.names=CONTROLLER
listeners={listens},CONTROLLER://{controller}
advertised.listeners={advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,WRONG_NAME:SASL_SSL,MUTUAL:SSL,PROXIED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
log.dirs={data}
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
offsets.topic.num.partitions=5
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=8388608
",
        listens = clients(&listeners.proxied.listens),
        advertised = clients(&listeners.proxied.advertised),
        data = data.display(),
    );
    for listener in ["sasl_plaintext", "sasl_ssl", "wrong_name", "proxied"] {
        text.push_str(&logins(listener));
    }
    text.push_str(&key_store("sasl_ssl", &certificates.broker, "none"));
    text.push_str(&key_store("wrong_name", &certificates.wrong_name, "none"));
    text.push_str(&key_store("mutual", &certificates.broker, "required"));
    text.push_str(&format!(
        "listener.name.mutual.ssl.truststore.type=PEM\nlistener.name.mutual.ssl.truststore.location={}\n",
        certificates.clients.display()
    ));
    text
}

/// The SCRAM credentials themselves are written when the data folder is formatted.
fn logins(listener: &str) -> String {
    const MODULES: &str = "org.apache.kafka.common.security";
    let users = USERS.map(|(name, password)| format!(" user_{name}=\"{password}\"")).concat();
    format!(
        "\
listener.name.{listener}.plain.sasl.jaas.config={MODULES}.plain.PlainLoginModule required{users};
listener.name.{listener}.scram-sha-256.sasl.jaas.config={MODULES}.scram.ScramLoginModule required;
listener.name.{listener}.scram-sha-512.sasl.jaas.config={MODULES}.scram.ScramLoginModule required;
"
    )
}

fn key_store(listener: &str, store: &Path, client_auth: &str) -> String {
    format!(
        "\
listener.name.{listener}.ssl.keystore.type=PKCS12
listener.name.{listener}.ssl.keystore.location={}
listener.name.{listener}.ssl.keystore.password={STORE_PASSWORD}
listener.name.{listener}.ssl.key.password={STORE_PASSWORD}
listener.name.{listener}.ssl.client.auth={client_auth}
",
        store.display()
    )
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::server_properties;
    use crate::broker::certificates::Certificates;
    use crate::broker::ports::Ports;

    #[test]
    fn every_listener_has_its_port_and_its_certificate() {
        let ports = Ports {
            plaintext: 1,
            sasl_plaintext: 2,
            sasl_ssl: 3,
            wrong_name: 4,
            controller: 5,
            proxied: 6,
            advertised: 7,
            mutual: 8,
        };
        let certificates = Certificates {
            ca: PathBuf::from("/ssl/ca.pem"),
            broker: PathBuf::from("/ssl/right.p12"),
            wrong_name: PathBuf::from("/ssl/wrong.p12"),
            clients: PathBuf::from("/ssl/clients.pem"),
        };
        let text = server_properties(Path::new("/data"), &ports, &certificates);
        let has = |line: &str| assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        let others = "PLAINTEXT://127.0.0.1:1,SASL_PLAINTEXT://127.0.0.1:2,SASL_SSL://127.0.0.1:3,WRONG_NAME://127.0.0.1:4,MUTUAL://127.0.0.1:8";
        has(&format!("listeners={others},PROXIED://127.0.0.1:6,CONTROLLER://127.0.0.1:5"));
        has(&format!("advertised.listeners={others},PROXIED://127.0.0.1:7"));
        has("listener.name.sasl_ssl.ssl.keystore.location=/ssl/right.p12");
        has("listener.name.wrong_name.ssl.keystore.location=/ssl/wrong.p12");
        has("listener.name.mutual.ssl.client.auth=required");
        has("listener.name.mutual.ssl.truststore.location=/ssl/clients.pem");
        has("auto.create.topics.enable=false");
    }
}
