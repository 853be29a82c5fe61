//! Named steps with their times.

use std::time::{Duration, Instant};

use anyhow::Context;

use crate::console::progress;

/// Runs steps one after the other and remembers how long each took.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration, bool)>,
}

impl Steps {
    /// Runs one step; an error names it.
    pub(crate) fn run<T>(
        &mut self,
        name: &str,
        step: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        progress(format_args!("==> {name}"));
        let start = Instant::now();
        let result = step();
        let took = start.elapsed();
        self.done.push((name.to_owned(), took, result.is_ok()));
        result.with_context(|| format!("step `{name}` failed after {:.1} s", took.as_secs_f64()))
    }

    /// The table of what ran.
    pub(crate) fn summary(&self) -> String {
        let width = self.done.iter().map(|(name, ..)| name.len()).max().unwrap_or_default().max(5);
        let mut text = String::new();
        for (name, took, ok) in &self.done {
            let end = if *ok { "ok" } else { "FAILED" };
            text.push_str(&format!("{name:<width$} {:>8.1} s  {end}\n", took.as_secs_f64()));
        }
        let total: Duration = self.done.iter().map(|(_, took, _)| *took).sum();
        text.push_str(&format!("{:<width$} {:>8.1} s", "total", total.as_secs_f64()));
        text
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        progress(self.summary());
    }
}

#[cfg(test)]
mod tests {
    use super::Steps;

    #[test]
    fn an_error_names_its_step() {
        let mut steps = Steps::default();
        steps.run("first", || Ok(())).unwrap();
        let error = steps.run("second", || -> anyhow::Result<()> { anyhow::bail!("no luck") }).unwrap_err();
        assert!(error.to_string().starts_with("step `second` failed after"), "{error}");
        let summary = steps.summary();
        let ends: Vec<_> = summary.lines().map(|line| line.split_whitespace().last()).collect();
        assert_eq!(ends, [Some("ok"), Some("FAILED"), Some("s")]);
    }
}
