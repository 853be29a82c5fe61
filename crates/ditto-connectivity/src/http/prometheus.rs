//! `/metrics` for Prometheus: the names and labels of the reference where it has them, and ours.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use ditto_javascript::ScriptUsage;
use ditto_outbound::{Step, TargetCounts};

use super::{Api, reply};
use crate::mappers::scripts;
use crate::report::Report;
use crate::status::Word;

const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counters and gauges, as text for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "health", security(("devops" = [])),
    responses(
        (status = 200, description = "The metrics.", content_type = "text/plain", body = String),
        (status = 401, description = "Not logged in.", content_type = "text/plain", body = String)
    )
)]
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let mut exposition = Exposition::default();
    exposition.of_registry(&api);
    exposition.of_scripts(&scripts());
    if let Some(report) = &api.report {
        exposition.of_report(report);
    }
    reply::typed(StatusCode::OK, TYPE, exposition.0)
}

#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn of_registry(&mut self, api: &Api) {
        let mut stands: BTreeMap<String, u64> = BTreeMap::new();
        for record in api.registry.list() {
            if let Some(standing) = api.registry.status(record.connection.id()) {
                *stands.entry(standing.live.to_string()).or_default() += 1;
            }
        }
        let unreadable = api.registry.unreadable().len() as u64;
        if unreadable > 0 {
            *stands.entry(Word::Misconfigured.to_string()).or_default() += unreadable;
        }
        self.family("ditto_connectivity_connections", "gauge", "Connections by how they stand.");
        for (word, count) in stands {
            self.sample("ditto_connectivity_connections", &[("status", &word)], count);
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
        let targets = report.targets();
        let mut by_id: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for (id, _, counts) in &targets {
            let categories = by_id.entry(id).or_default();
            for (category, count) in categories_of(counts) {
                *categories.entry(category).or_default() += count;
            }
        }
        let name = "connection_messages_total";
        self.family(
            name,
            "counter",
            "Signals of a connection by what has become of them, as Ditto names it.",
        );
        for (id, categories) in &by_id {
            for (category, count) in categories {
                let labels =
                    [("id", *id), ("type", "kafka"), ("category", category), ("direction", "outbound")];
                self.sample(name, &labels, *count);
            }
        }
        self.family("connection_client", "gauge", "Clients of a connection.");
        for id in by_id.keys() {
            self.sample("connection_client", &[("id", id), ("type", "kafka")], 1);
        }
        let name = "ditto_connectivity_target_signals_total";
        self.family(name, "counter", "Signals of a target by their outcome and its reason.");
        for (id, address, counts) in &targets {
            let mut sample = |outcome: &str, reason: &str, count: u64| {
                let labels =
                    [("id", &**id), ("address", &**address), ("outcome", outcome), ("reason", reason)];
                self.sample(name, &labels, count);
            };
            sample("published", "", counts.published);
            counts.dropped.iter().for_each(|(reason, count)| sample("dropped", reason, *count));
            counts.failed.iter().for_each(|(reason, count)| sample("failed", reason, *count));
        }
        self.family(
            "ditto_connectivity_target_in_flight",
            "gauge",
            "Signals of a target without an outcome yet.",
        );
        for (id, address, counts) in &targets {
            let labels = [("id", &**id), ("address", &**address)];
            self.sample("ditto_connectivity_target_in_flight", &labels, counts.in_flight());
        }
        let name = "ditto_connectivity_feed_records_total";
        self.family(name, "counter", "Records of the feed by lane and by what they were.");
        for (lane, counts) in report.lanes() {
            self.sample(name, &[("lane", &lane), ("kind", "received")], counts.received);
            self.sample(name, &[("lane", &lane), ("kind", "unselected")], counts.unselected);
            for (reason, count) in counts.undecodable.iter().chain(&counts.unreadable) {
                self.sample(name, &[("lane", &lane), ("kind", reason)], *count);
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

/// What the reference counts under these names, whether it went well or not.
fn categories_of(counts: &TargetCounts) -> [(&'static str, u64); Step::ALL.len()] {
    Step::ALL.map(|step| (step.name(), counts.of_step(step).iter().sum()))
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
