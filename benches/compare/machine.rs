//! What a reader has to know about where and when the figures were taken.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine and the moment.
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Cores that are online.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// Memory, in GiB.
    pub memory_gib: f64,
    /// The load average of the minute before the run: other work is noise.
    pub load_before: String,
    /// When the run began, in UTC.
    pub date: String,
}

impl Machine {
    /// Asks /proc.
    pub fn look() -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let memory_kib = field(&read("/proc/meminfo"), "MemTotal")
            .and_then(|value| value.split_whitespace().next()?.parse::<f64>().ok())
            .unwrap_or(f64::NAN);
        let load = read("/proc/loadavg");
        Machine {
            cpu: field(&cpuinfo, "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_gib: memory_kib / 1024.0 / 1024.0,
            load_before: load.split_whitespace().next().unwrap_or("unknown").to_owned(),
            date: utc(SystemTime::now()),
        }
    }

    /// Each fact with its name.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("date", self.date.clone()),
            ("processor", format!("{}, {} cores", self.cpu, self.cores)),
            ("memory", format!("{:.1} GiB", self.memory_gib)),
            ("kernel", self.kernel.clone()),
            ("load average before", self.load_before.clone()),
        ]
    }
}

/// `2026-01-31 12:34 UTC`. Days to a date as in Howard Hinnant's "chrono-compatible low-level
/// date algorithms" (civil_from_days).
fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or(0);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", second / 3600, second / 60 % 60)
}
