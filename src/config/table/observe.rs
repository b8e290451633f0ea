//! Settings of logs, the slow log, latency figures and notifications.

macro_rules! observe_rows {
    ({ $($before:tt)* } $($rest:ident)*) => { collect! { { $($before)*
"Logs and observation" {
    loglevel: LogLevel = LogLevel::Notice => "loglevel" one_of(LogLevel::NAMES) [APPLIED] "The least important messages that are logged.";
    logfile: String = String::new() => "logfile" text() [IMMUTABLE] "File of the log; empty is standard output.";
    log_format: LogFormat = LogFormat::Redis => "log-format" one_of(LogFormat::NAMES) [IMMUTABLE OURS] "Log lines in Redis's form or as JSON.";
    syslog_enabled: bool = false => "syslog-enabled" yes_no() [IMMUTABLE] requires(Syslog: "no") "Log to syslog too.";
    syslog_ident: String = "redis".into() => "syslog-ident" text() [IMMUTABLE STORED] "Name in syslog messages.";
    syslog_facility: SyslogFacility = SyslogFacility::Local0 => "syslog-facility" one_of(SyslogFacility::NAMES) [IMMUTABLE STORED] "Facility of syslog messages.";
    slowlog_log_slower_than_us: i64 = 10_000 => "slowlog-log-slower-than" int(-1, LONG_MAX) [] "Microseconds from which a command enters the slow log; -1 is never.";
    slowlog_max_len: u64 = 128 => "slowlog-max-len" int(0, LONG_MAX) [] "Entries of the slow log.";
    latency_tracking: bool = true => "latency-tracking" yes_no() [] "Keep a latency histogram of each command.";
    latency_tracking_info_percentiles: Percentiles = Percentiles(vec![50.0, 99.0, 99.9]) => "latency-tracking-info-percentiles" shape("numbers from 0 to 100, or \"\" for none") [MULTI] "Percentiles that INFO latencystats shows.";
    latency_monitor_threshold_ms: u64 = 0 => "latency-monitor-threshold" int(0, LONG_MAX) [] "Milliseconds from which an event enters the latency monitor; 0 is off.";
    trace_keys: bool = false => "trace-keys" yes_no() [OURS] "Spans of commands carry the names of their keys.";
    key_statistics: bool = true => "key-statistics" yes_no() [OURS] "Watch which keys, clients and key prefixes take most: `GET /usage` shows it.";
    notify_keyspace_events: KeyspaceEvents = KeyspaceEvents::default() => "notify-keyspace-events" shape("letters of Ag$lshzxeKEtmdn, or \"\" for none") [] "Keyspace events that are published.";
}
    } $($rest)* } };
}
