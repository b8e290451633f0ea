//! Settings of snapshots and of the append-only file.

macro_rules! persistence_rows {
    ({ $($before:tt)* } $($rest:ident)*) => { collect! { { $($before)*
"Snapshots" {
    dir: PathBuf = PathBuf::from(".") => "dir" shape("a folder that exists") [PROTECTED DENY_LOADING APPLIED] "Working folder; the snapshot lies in it.";
    dbfilename: String = "glasswing.snapshot".into() => "dbfilename" checked(snapshot_name) [PROTECTED] "Name of the snapshot file; one that ends in .rdb is an RDB file.";
    save: Vec<SavePoint> = vec![SavePoint { seconds: 3600, changes: 1 }, SavePoint { seconds: 300, changes: 100 }, SavePoint { seconds: 60, changes: 10_000 }] => "save" shape("<seconds> <changes>, repeated, or \"\" for never") [MULTI] "Save when so many changes were made within so many seconds.";
    save_extra_memory_limit_bytes: u64 = 256 * MB => "save-extra-memory-limit" memory(0, LONG_MAX) [OURS] "Memory that a running save may hold for values that change meanwhile.";
    stop_writes_on_bgsave_error: bool = true => "stop-writes-on-bgsave-error" yes_no() [] "Refuse writes after a failed save until one succeeds.";
    rdbcompression: bool = true => "rdbcompression" yes_no() [] "Compress long strings in RDB files.";
    rdbchecksum: bool = true => "rdbchecksum" yes_no() [IMMUTABLE] "Guard RDB files with a checksum.";
    rdb_save_incremental_fsync: bool = true => "rdb-save-incremental-fsync" yes_no() [STORED] "Sync the file to disk piece by piece while it is saved.";
    rdb_del_sync_files: bool = false => "rdb-del-sync-files" yes_no() [STORED] "Delete RDB files that only replication needed.";
    sanitize_dump_payload: SanitizeDumpPayload = SanitizeDumpPayload::No => "sanitize-dump-payload" one_of(SanitizeDumpPayload::NAMES) [STORED] "Check RESTORE payloads and RDB files in depth.";
    rdb_key_save_delay_us: i32 = 0 => "rdb-key-save-delay" int(INT_MIN, INT_MAX) [HIDDEN] "For tests: pause after each key that is saved.";
    key_load_delay_us: i32 = 0 => "key-load-delay" int(INT_MIN, INT_MAX) [HIDDEN] "For tests: pause after each key that is loaded.";
    loading_process_events_interval_bytes: u32 = 2 * MB as u32 => "loading-process-events-interval-bytes" int(1024, INT_MAX) [HIDDEN STORED] "For tests: how often clients are served while loading.";
}
"Append-only file" {
    appendonly: bool = false => "appendonly" yes_no() [DENY_LOADING APPLIED] requires(AppendOnlyFile: "no") "Log every write to a file.";
    appendfilename: String = "appendonly.aof".into() => "appendfilename" checked(log_name) [IMMUTABLE] "Base name of the append-only files.";
    appenddirname: String = "appendonlydir".into() => "appenddirname" checked(log_folder) [IMMUTABLE] "Folder of the append-only files, inside dir.";
    appendfsync: AppendFsync = AppendFsync::Everysec => "appendfsync" one_of(AppendFsync::NAMES) [] "When the append-only file is synced to disk.";
    no_appendfsync_on_rewrite: bool = false => "no-appendfsync-on-rewrite" yes_no() [] "Do not sync while a save or a rewrite runs.";
    auto_aof_rewrite_percentage: u32 = 100 => "auto-aof-rewrite-percentage" int(0, INT_MAX) [] "Growth in percent that starts a rewrite; 0 is never.";
    auto_aof_rewrite_min_size_bytes: u64 = 64 * MB => "auto-aof-rewrite-min-size" memory(0, LONG_MAX) [] "No automatic rewrite below this size.";
    aof_load_truncated: bool = true => "aof-load-truncated" yes_no() [] "Accept a file whose last entry is cut off.";
    aof_use_rdb_preamble: bool = true => "aof-use-rdb-preamble" yes_no() [] "Begin a rewritten file with a snapshot.";
    aof_timestamp_enabled: bool = false => "aof-timestamp-enabled" yes_no() [] "Write times into the append-only file.";
    aof_rewrite_incremental_fsync: bool = true => "aof-rewrite-incremental-fsync" yes_no() [STORED] "Sync piece by piece while rewriting.";
    aof_checksum: bool = true => "aof-checksum" yes_no() [OURS] "Write checksums into the append-only file, in lines that Redis skips.";
    aof_disable_auto_gc: bool = false => "aof-disable-auto-gc" yes_no() [APPLIED] "Keep files that a rewrite made obsolete.";
}
    } $($rest)* } };
}
