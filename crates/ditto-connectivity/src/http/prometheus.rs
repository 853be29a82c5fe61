//! `/metrics` for Prometheus: the names and labels of the reference where it has them, and ours.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use ditto_javascript::ScriptUsage;
use ditto_kafka::ConsumerMonitor;
use ditto_outbound::{Step, TargetCounts};

use super::{Api, reply};
use crate::mappers::scripts;
use crate::observed::{Addresses, Counted, Observation};
use crate::registry::Registry;
use crate::report::Report;
use crate::standing::Word;
use crate::store::Record;

/// The type of every connection here, as the reference labels it.
const KAFKA: &str = "kafka";

const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counters and gauges, as text for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "prometheus", security(("devops" = [])),
    responses(
        (status = 200, description = "The metrics.", content_type = "text/plain", body = String)
    )
)]
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let mut exposition = Exposition::default();
    let all = Seen::all(&api.registry);
    exposition.of_reference(&all);
    exposition.of_connections(&all, api.registry.unreadable().len());
    exposition.of_targets(&all);
    exposition.of_scripts(&scripts());
    if let Some(report) = &api.report {
        exposition.of_report(report);
    }
    reply::typed(StatusCode::OK, TYPE, exposition.0)
}

/// The text that Prometheus reads: each family once, with all of its samples.
#[derive(Default)]
struct Exposition(String);

/// A connection, and what is seen of it.
struct Seen {
    id: String,
    live: Word,
    client: Word,
    observation: Arc<Observation>,
    targets: Addresses,
    letters: Addresses,
}

impl Seen {
    fn all(registry: &Registry) -> Vec<Self> {
        let seen = |record: Record| {
            let id = record.connection.id();
            let standing = registry.status(id)?;
            let observation = registry.observation(id);
            let (targets, letters) = observation.counted();
            let (live, client) = (standing.live, standing.client.word);
            Some(Self { id: id.as_str().to_owned(), live, client, observation, targets, letters })
        };
        registry.list().into_iter().filter_map(seen).collect()
    }

    /// Whether it has run since the process has started.
    fn has_run(&self) -> bool {
        !self.targets.is_empty()
    }
}

impl Exposition {
    /// What the reference has, by its names and labels: what it calls `connection_messages` is `connection_messages_total` where
    /// Prometheus reads it.
    fn of_reference(&mut self, all: &[Seen]) {
        let name = "connection_messages_total";
        self.family(
            name,
            "counter",
            "Signals of a connection by what has become of them, as Ditto names it.",
        );
        for seen in all.iter().filter(|seen| seen.has_run()) {
            for step in Step::ALL {
                let totals = seen.targets.iter().map(|(_, counted)| counted.counts.of_step(step));
                let [good, bad] = totals
                    .fold([0, 0], |[good, bad], [more_good, more_bad]| [good + more_good, bad + more_bad]);
                for (success, count) in [("true", good), ("false", bad)] {
                    let labels = [
                        ("id", &*seen.id),
                        ("type", KAFKA),
                        ("category", step.name()),
                        ("direction", "outbound"),
                        ("success", success),
                    ];
                    self.sample(name, &labels, count);
                }
            }
        }
        let name = "message_mapping_seconds_count";
        let help = "Signals that were mapped. How long it took is not measured.";
        self.family("message_mapping_seconds", "summary", help);
        for seen in all.iter().filter(|seen| seen.has_run()) {
            let sum = |of: fn(&TargetCounts) -> u64| seen.targets.iter().map(|(_, it)| of(&it.counts)).sum();
            let failed = |counts: &TargetCounts| {
                counts.failed.iter().filter(|(reason, _)| *reason == "mapping").map(|(_, n)| n).sum()
            };
            for (success, count) in [("true", sum(|counts| counts.mapped)), ("false", sum(failed))] {
                let labels = [
                    ("ditto_connection_id", &*seen.id),
                    ("ditto_connection_type", KAFKA),
                    ("direction", "outbound"),
                    ("segment", "overall"),
                    ("ditto_mapping_success", success),
                ];
                self.sample(name, &labels, count);
            }
        }
        let clients: [(_, _, &[Word]); 2] = [
            ("connection_client", "Clients of a connection that work.", &[Word::Open]),
            (
                "connecting_client",
                "Clients of a connection that are to work and do not yet.",
                &[Word::Unknown, Word::Failed, Word::Misconfigured],
            ),
        ];
        for (name, help, words) in clients {
            self.family(name, "gauge", help);
            for seen in all {
                let is_so = words.contains(&seen.client);
                self.sample(name, &[("id", &seen.id), ("type", KAFKA)], is_so.into());
            }
        }
        let name = "connection_live_status_reported_total";
        self.family(
            name,
            "counter",
            "How often a connection was found to stand so: it is looked at once a minute.",
        );
        for seen in all {
            for (word, count) in seen.observation.reported().into_iter().filter(|(_, count)| *count > 0) {
                let labels =
                    [("connectionId", &*seen.id), ("connectionType", KAFKA), ("status", &word.to_string())];
                self.sample(name, &labels, count);
            }
        }
    }

    /// What is kept and cannot be read is counted with those that somebody has to correct.
    fn of_connections(&mut self, all: &[Seen], unreadable: usize) {
        let name = "ditto_connectivity_connections";
        self.family(name, "gauge", "Connections by how they stand.");
        for word in Word::ALL {
            let more = if word == Word::Misconfigured { unreadable } else { 0 };
            let count = all.iter().filter(|seen| seen.live == word).count() + more;
            self.sample(name, &[("status", &word.to_string())], count as u64);
        }
        let name = "ditto_connectivity_connection_status";
        self.family(name, "gauge", "1 for the word that says how a connection stands, 0 for the others.");
        for seen in all {
            for word in Word::ALL {
                let is_so = seen.live == word;
                self.sample(name, &[("id", &seen.id), ("status", &word.to_string())], is_so.into());
            }
        }
        let name = "ditto_connectivity_on_hold";
        self.family(
            name,
            "gauge",
            "1 for a target that is on hold, or with an empty address for all of a connection.",
        );
        for seen in all {
            for (address, reason) in seen.observation.held() {
                let address = address.unwrap_or_default();
                self.sample(name, &[("id", &seen.id), ("address", &address), ("reason", reason)], 1);
            }
        }
    }

    fn of_targets(&mut self, all: &[Seen]) {
        let name = "ditto_connectivity_target_steps_total";
        self.family(name, "counter", "Signals that have come so far on the way to an address.");
        self.each_target(all, |exposition, [id, at], Counted { counts, .. }| {
            for (step, count) in [
                ("kind-and-namespace", counts.offered),
                ("selected", counts.selected),
                ("authorized", counts.authorized()),
                ("filtered", counts.matched),
                ("mapped", counts.mapped),
                ("published", counts.published),
            ] {
                exposition.sample(name, &[id, at, ("step", step)], count);
            }
        });
        let name = "ditto_connectivity_target_signals_total";
        self.family(name, "counter", "Signals of an address by their outcome and its reason.");
        self.each_target(all, |exposition, [id, at], Counted { counts, .. }| {
            let mut sample = |outcome: &str, reason: &str, count: u64| {
                exposition.sample(name, &[id, at, ("outcome", outcome), ("reason", reason)], count);
            };
            sample("published", "", counts.published);
            counts.passed_over.iter().for_each(|(reason, count)| sample("passed-over", reason, *count));
            counts.dropped.iter().for_each(|(reason, count)| sample("dropped", reason, *count));
            counts.failed.iter().for_each(|(reason, count)| sample("failed", reason, *count));
        });
        let name = "ditto_connectivity_target_in_flight";
        self.family(name, "gauge", "Signals of an address without an outcome yet.");
        self.each_target(all, |exposition, labels, counted| {
            exposition.sample(name, &labels, counted.in_flight)
        });
        let name = "ditto_connectivity_dead_letters_total";
        self.family(name, "counter", "Dead letters of a connection by what has become of them.");
        for seen in all {
            for (topic, Counted { counts, .. }) in &seen.letters {
                let mut sample = |outcome: &str, reason: &str, count: u64| {
                    let labels =
                        [("id", &*seen.id), ("topic", topic), ("outcome", outcome), ("reason", reason)];
                    self.sample(name, &labels, count);
                };
                sample("written", "", counts.published);
                let occurred = |(_, n): &&(&str, u64)| *n > 0;
                counts.dropped.iter().filter(occurred).for_each(|(reason, n)| sample("dropped", reason, *n));
                counts.failed.iter().filter(occurred).for_each(|(reason, n)| sample("failed", reason, *n));
            }
        }
    }

    fn each_target(&mut self, all: &[Seen], each: impl Fn(&mut Self, [(&str, &str); 2], &Counted)) {
        for seen in all {
            for (address, counted) in &seen.targets {
                each(self, [("id", &seen.id), ("address", address)], counted);
            }
        }
    }

    fn of_scripts(&mut self, scripts: &ScriptUsage) {
        let name = "ditto_connectivity_script_scopes";
        self.family(name, "gauge", "Engines that run scripts of payload mappers.");
        self.sample(name, &[], scripts.scopes as u64);
        self.family("ditto_connectivity_script_bytes", "gauge", "Memory of these engines, in bytes.");
        self.sample("ditto_connectivity_script_bytes", &[], scripts.bytes as u64);
        let name = "ditto_connectivity_script_calls_ended_total";
        self.family(name, "counter", "Calls of scripts that met a bound.");
        self.sample(name, &[("bound", "time")], scripts.out_of_time);
        self.sample(name, &[("bound", "memory")], scripts.out_of_memory);
        let name = "ditto_connectivity_script_overdue";
        self.family(name, "gauge", "Scripts that still run though their time is over: each holds its lane.");
        self.sample(name, &[], scripts.overdue.len() as u64);
    }

    fn of_report(&mut self, report: &Report) {
        let feeds = report.feeds();
        let name = "ditto_connectivity_feed_records_total";
        self.family(name, "counter", "Records of the feed by lane and by what they were.");
        for (lane, _, counts, _) in &feeds {
            self.sample(name, &[("lane", lane), ("kind", "received")], counts.received);
            self.sample(name, &[("lane", lane), ("kind", "unselected")], counts.unselected);
            for (reason, count) in counts.undecodable.iter().chain(&counts.unreadable) {
                self.sample(name, &[("lane", lane), ("kind", reason)], *count);
            }
        }
        let name = "ditto_connectivity_feed_events_total";
        self.family(name, "counter", "What a lane's reader of the feed has met.");
        for (lane, _, _, feed) in &feeds {
            let Some(counts) = feed.as_ref().map(ConsumerMonitor::counts) else { continue };
            for (event, count) in [
                ("batch", counts.batches),
                ("gap", counts.gaps),
                ("gone", counts.gone),
                ("lost", counts.lost),
                ("stall", counts.stalls),
            ] {
                self.sample(name, &[("lane", lane), ("event", event)], count);
            }
        }
        if let Some(directory) = report.directory() {
            let name = "ditto_connectivity_directory";
            self.family(name, "untyped", "What the directory has done, and what it has just now.");
            for (what, count) in directory.counts().named() {
                self.sample(name, &[("what", what)], count);
            }
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let label = |(name, value): &(&str, &str)| format!("{name}=\"{}\"", escaped(value));
        let labels: Vec<_> = labels.iter().map(label).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut exposition = Exposition::default();
        exposition.sample("x", &[("a", "b\"c\\d\ne"), ("f", "")], 7);
        assert_eq!(exposition.0, "x{a=\"b\\\"c\\\\d\\ne\",f=\"\"} 7\n");
    }
}
