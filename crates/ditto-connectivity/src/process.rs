//! The process: its runtime, signals to it, what it prints, and its end.

use std::io::{self, Write};

use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::exit;

pub(crate) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().thread_name("service").build()
}

/// Cancels at the first signal, ends the process at the second.
pub(crate) async fn stop_on_signals(stop: CancellationToken) {
    if let Err(why) = terminated().await {
        return warn!(%why, "signals are not watched");
    }
    info!("stopping: draining what is in flight; a second signal ends at once");
    stop.cancel();
    if terminated().await.is_ok() {
        error!("ended at once; what was in flight comes again from a replayable feed");
        std::process::exit(exit::INTERRUPTED.into());
    }
}

async fn terminated() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// To stdout. Whoever closes it early has seen enough.
pub(crate) fn print(bytes: &[u8]) -> u8 {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => exit::OK,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
        Err(error) => fail(&format!("stdout: {error}"), exit::UNAVAILABLE),
    }
}

#[expect(clippy::print_stderr, reason = "why the process ends; logging may not have started")]
pub(crate) fn fail(why: &dyn std::fmt::Display, code: u8) -> u8 {
    eprintln!("{why}");
    code
}
