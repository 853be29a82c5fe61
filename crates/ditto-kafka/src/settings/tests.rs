use std::time::Duration;

use expect_test::{Expect, expect};
use secrecy::SecretString;

use super::*;
use crate::cluster::{ClientCertificate, Sasl, SaslMechanism, Security, Tls};

const SECRET: &str = "pa$$\"word\\";

fn settings() -> ProducerSettings {
    ProducerSettings::new(ClusterSettings::plaintext(["a:1", "b:2"]), "me")
}

fn secured() -> ProducerSettings {
    let mut settings = settings();
    settings.cluster.security = Security {
        tls: Some(Tls {
            ca_pem: Some("CA".into()),
            client_certificate: Some(ClientCertificate {
                certificate_pem: "CHAIN".into(),
                key_pem: SECRET.into(),
            }),
        }),
        sasl: Some(Sasl {
            mechanism: SaslMechanism::ScramSha512,
            username: "someone".into(),
            password: SecretString::from(SECRET),
        }),
    };
    settings
}

#[track_caller]
fn check(settings: &ProducerSettings, expected: Expect) {
    expected.assert_eq(&settings.properties().to_text());
}

#[test]
fn replayable_round_robin() {
    check(
        &settings(),
        expect![[r#"
            bootstrap.servers = a:1,b:2
            security.protocol = PLAINTEXT
            connections.max.idle.ms = 180000
            topic.metadata.refresh.interval.ms = 180000
            reconnect.backoff.ms = 500
            reconnect.backoff.max.ms = 10000
            message.timeout.ms = 0
            request.timeout.ms = 10000
            acks = all
            enable.idempotence = true
            max.in.flight = 5
            message.max.bytes = 1048576
            client.id = me
            linger.ms = 5
            batch.size = 1000000
            batch.num.messages = 10000
            compression.codec = none
            queue.buffering.max.messages = 101000
            queue.buffering.max.kbytes = 2097151
            topic.metadata.propagation.max.ms = 10000
            partitioner = murmur2_random
            sticky.partitioning.linger.ms = 0
        "#]],
    );
}

#[test]
fn best_effort_sticky_secured() {
    let settings = secured()
        .with_delivery(Delivery::best_effort())
        .with_partitioning(Partitioning::Sticky)
        .with_compression(Compression::Zstd)
        .with_linger(Duration::from_millis(50))
        .with_queue(Bounds { records: 10, bytes: MAX_RECORD_BYTES });
    check(
        &settings,
        expect![[r#"
            bootstrap.servers = a:1,b:2
            security.protocol = SASL_SSL
            connections.max.idle.ms = 180000
            topic.metadata.refresh.interval.ms = 180000
            reconnect.backoff.ms = 500
            reconnect.backoff.max.ms = 10000
            ssl.endpoint.identification.algorithm = https
            ssl.ca.pem = CA
            ssl.certificate.pem = CHAIN
            ssl.key.pem = pa$$"word\
            sasl.mechanisms = SCRAM-SHA-512
            sasl.username = someone
            sasl.password = pa$$"word\
            message.timeout.ms = 10000
            request.timeout.ms = 10000
            acks = all
            enable.idempotence = true
            max.in.flight = 5
            message.max.bytes = 1048576
            client.id = me
            linger.ms = 50
            batch.size = 1000000
            batch.num.messages = 10000
            compression.codec = zstd
            queue.buffering.max.messages = 1010
            queue.buffering.max.kbytes = 2097151
            topic.metadata.propagation.max.ms = 5000
            partitioner = murmur2_random
        "#]],
    );
}

#[test]
fn equal_settings_have_equal_fingerprints() {
    assert_eq!(secured().fingerprint(), secured().fingerprint());
    assert_eq!(secured().fingerprint().to_string(), secured().fingerprint().to_string());
}

#[test]
fn every_setting_is_in_the_fingerprint() {
    let base = secured();
    let change = |change: fn(&mut ProducerSettings)| {
        let mut other = base.clone();
        change(&mut other);
        assert_ne!(base.fingerprint(), other.fingerprint());
    };
    change(|it| it.client_id.push('x'));
    change(|it| it.cluster.bootstrap_servers.truncate(1));
    change(|it| it.cluster.security.tls = None);
    change(|it| it.cluster.security.tls = Some(Tls::default()));
    change(|it| it.cluster.security.sasl = None);
    change(|it| it.cluster.security.sasl.as_mut().unwrap().password = "other".into());
    change(|it| it.cluster.security.sasl.as_mut().unwrap().username.push('x'));
    change(|it| it.cluster.security.sasl.as_mut().unwrap().mechanism = SaslMechanism::Plain);
    change(|it| it.delivery = Delivery::best_effort());
    change(|it| it.partitioning = Partitioning::Sticky);
    change(|it| it.compression = Compression::Lz4);
    change(|it| it.linger = Duration::ZERO);
    change(|it| it.queue.records -= 1);
    change(|it| it.queue.bytes -= 1);
}

#[test]
fn debug_shows_no_secret() {
    let settings = secured();
    let text = format!("{settings:?} {:?}", settings.fingerprint());
    for secret in ["pa$$", "word", "someone", "CHAIN"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn what_cannot_work_is_refused() {
    let mut none = settings();
    none.cluster.bootstrap_servers.clear();
    let small = settings().with_queue(Bounds { records: 0, bytes: MAX_RECORD_BYTES });
    let tight = settings().with_queue(Bounds { records: 1, bytes: MAX_RECORD_BYTES - 1 });
    let slow = settings().with_delivery(Delivery::BestEffort { timeout: Duration::from_millis(5) });
    let text: String =
        [none, small, tight, slow].iter().map(|it| format!("{}\n", it.validate().unwrap_err())).collect();
    expect![[r#"
        invalid client configuration: no bootstrap server is given
        invalid client configuration: a bound of 0 records is not within 1 and 10000000
        invalid client configuration: a bound of 1048575 bytes is not within 1048576 (one record) and 2 GiB
        invalid client configuration: a delivery time-out of 5ms must be above the linger time of 5ms
    "#]]
    .assert_eq(&text);
}
