//! The log: text for people, JSON for machines, always on standard error.

use std::io::IsTerminal;

use tracing::Level;

use crate::cli::LogFormat;

/// Starts logging what is at least as grave as `level`; tells in which form.
pub fn start(format: Option<LogFormat>, level: Level) -> LogFormat {
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // A second start, as in tests, changes nothing.
    let _started = match format {
        LogFormat::Text => log.with_ansi(terminal).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    format
}
