//! The families about the process that every Prometheus client library has, under their usual names.

use super::figures::Figures;
use super::text::Kind::{Counter, Gauge};
use super::text::Text;

/// Writes the families, sorted by name.
pub(super) fn write(text: &mut Text, figures: &Figures) {
    let cpu = figures.cpu_user_seconds + figures.cpu_sys_seconds;
    let all = [
        ("cpu_seconds_total", Counter, "Total user and system CPU time spent in seconds.", cpu),
        ("max_fds", Gauge, "Maximum number of open file descriptors.", figures.max_fds as f64),
        ("open_fds", Gauge, "Number of open file descriptors.", figures.open_fds as f64),
        ("resident_memory_bytes", Gauge, "Resident memory size in bytes.", figures.used_memory_rss as f64),
        (
            "start_time_seconds",
            Gauge,
            "Start time of the process since unix epoch in seconds.",
            figures.start_time_unix_seconds as f64,
        ),
        ("virtual_memory_bytes", Gauge, "Virtual memory size in bytes.", figures.virtual_memory as f64),
        (
            "virtual_memory_max_bytes",
            Gauge,
            "Maximum amount of virtual memory available in bytes.",
            figures.virtual_memory_max as f64,
        ),
    ];
    for (name, kind, help, value) in all {
        let name = format!("process_{name}");
        text.family(&name, kind, help);
        text.sample(&name, &[], value);
    }
}
