//! Settings of the process and of the admin port.

macro_rules! process_rows {
    ({ $($before:tt)* } $($rest:ident)*) => { collect! { { $($before)*
"Process" {
    workers: usize = 0 => "workers" int(0, 1024) [IMMUTABLE OURS] "Threads that serve clients; 0 is one for each processor core.";
    shards: usize = 4096 => "shards" power_of_two(16, 65536) [IMMUTABLE OURS] "Parts of the keyspace that are locked on their own.";
    databases: u32 = 16 => "databases" int(1, INT_MAX) [IMMUTABLE] "Number of databases, chosen with SELECT.";
    daemonize: bool = false => "daemonize" yes_no() [IMMUTABLE] "Go to the background at start, unless a service manager supervises the process.";
    supervised: Supervised = Supervised::No => "supervised" one_of(Supervised::NAMES) [IMMUTABLE] "Tell a service manager when the server is ready; auto goes by NOTIFY_SOCKET and UPSTART_JOB.";
    pidfile: String = String::new() => "pidfile" optional_text() [IMMUTABLE] "File that holds the process id while the server runs; with daemonize yes it is /var/run/redis.pid where none is named.";
    always_show_logo: bool = false => "always-show-logo" yes_no() [IMMUTABLE STORED] "Redis's logo in the log.";
    set_proc_title: bool = true => "set-proc-title" yes_no() [IMMUTABLE] "Show a title in the place of the process's arguments, among which may be a password.";
    proc_title_template: String = "{title} {listen-addr} {server-mode}".into() => "proc-title-template" checked(title_template) [APPLIED] "What the process's title shows: text with {title}, {listen-addr}, {server-mode}, {port}, {tls-port}, {unixsocket}, {config-file}.";
    hz: u32 = 10 => "hz" capped(0, INT_MAX, 1, 500) [] "How often a second background work runs; held between 1 and 500.";
    dynamic_hz: bool = true => "dynamic-hz" yes_no() [STORED] "Run background work more often when there are many clients.";
    io_threads: u32 = 1 => "io-threads" int(1, 128) [IMMUTABLE STORED] "Redis's I/O threads; see workers.";
    io_threads_do_reads: bool = false => "io-threads-do-reads" yes_no() [IMMUTABLE STORED] "Redis's reading in I/O threads.";
    server_cpulist: String = String::new() => "server_cpulist" optional_text() [IMMUTABLE] requires(CpuAffinity: "") "Cores for the threads that serve clients.";
    bio_cpulist: String = String::new() => "bio_cpulist" optional_text() [IMMUTABLE] requires(CpuAffinity: "") "Cores for background threads.";
    aof_rewrite_cpulist: String = String::new() => "aof_rewrite_cpulist" optional_text() [IMMUTABLE] requires(CpuAffinity: "") "Cores for rewriting the append-only file.";
    bgsave_cpulist: String = String::new() => "bgsave_cpulist" optional_text() [IMMUTABLE] requires(CpuAffinity: "") "Cores for saving.";
    oom_score_adj: OomScoreAdj = OomScoreAdj::No => "oom-score-adj" one_of(OomScoreAdj::NAMES) [APPLIED] "Adjust the kernel's out-of-memory score.";
    oom_score_adj_values: [i32; 3] = [0, 200, 800] => "oom-score-adj-values" shape("three integers from -2000 to 2000") [MULTI APPLIED] "Scores of a master, a replica and a saving child.";
    disable_thp: bool = true => "disable-thp" yes_no() [IMMUTABLE STORED] "Switch off transparent huge pages for the process.";
    crash_log_enabled: bool = true => "crash-log-enabled" yes_no() [APPLIED STORED] "Redis's report on a crash: a panic is always logged with its backtrace.";
    crash_memcheck_enabled: bool = true => "crash-memcheck-enabled" yes_no() [STORED] "Test memory after a crash.";
    use_exit_on_panic: bool = false => "use-exit-on-panic" yes_no() [HIDDEN STORED] "Exit instead of abort on a crash.";
    watchdog_period_ms: u32 = 0 => "watchdog-period" int(0, INT_MAX) [HIDDEN APPLIED] requires(Watchdog: "0") "Report commands that take longer than this; 0 is off.";
    ignore_warnings: String = String::new() => "ignore-warnings" text() [STORED] "Names of warnings at start that are not shown.";
    shutdown_timeout_s: u32 = 10 => "shutdown-timeout" int(0, INT_MAX) [] "Seconds to wait for lagging replicas at shutdown.";
    shutdown_on_sigint: ShutdownOnSignal = ShutdownOnSignal::default() => "shutdown-on-sigint" one_of(ShutdownOnSignal::NAMES) [MULTI] "What SIGINT does; several words may be given.";
    shutdown_on_sigterm: ShutdownOnSignal = ShutdownOnSignal::default() => "shutdown-on-sigterm" one_of(ShutdownOnSignal::NAMES) [MULTI] "What SIGTERM does; several words may be given.";
    busy_reply_threshold_ms: u64 = 5000 => "busy-reply-threshold" | "lua-time-limit" int(0, LONG_MAX) [] "Milliseconds after which a running script makes others get a BUSY error.";
    lua_enable_deprecated_api: bool = false => "lua-enable-deprecated-api" yes_no() [IMMUTABLE HIDDEN] "Give scripts getfenv, setfenv and newproxy, which Redis no longer gives them.";
}
"Admin port" {
    admin_port: u16 = 8080 => "admin-port" int(0, 65535) [IMMUTABLE OURS] "Port of the admin HTTP server (health, metrics, save); 0 turns it off.";
    admin_bind: Vec<BindAddress> = BindAddress::LOOPBACK.to_vec() => "admin-bind" shape("up to 16 addresses; a leading - means it may be missing") [IMMUTABLE MULTI OURS] "Addresses of the admin HTTP server.";
    admin_token_file: String = String::new() => "admin-token-file" optional_text() [IMMUTABLE OURS] "File with the bearer token of the admin port (or set GLASSWING_ADMIN_TOKEN).";
    admin_trusted_networks: Vec<Network> = Vec::new() => "admin-trusted-networks" shape("networks such as 10.0.0.0/8, or \"\" for none") [MULTI OURS] "Networks that the admin port answers without a token, besides this machine.";
    admin_metrics_public: bool = false => "admin-metrics-public" yes_no() [OURS] "Answer /metrics without the token although a token is set.";
}
    } $($rest)* } };
}
