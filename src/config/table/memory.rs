//! Settings of memory, expiry and the encodings of values.

macro_rules! memory_rows {
    ({ $($before:tt)* } $($rest:ident)*) => { collect! { { $($before)*
"Memory and expiry" {
    maxmemory_bytes: u64 = 0 => "maxmemory" memory(0, ULONG_MAX) [APPLIED] requires(MaxMemory: "0") "Memory beyond which keys are evicted or writes refused; 0 is no limit.";
    maxmemory_policy: MaxmemoryPolicy = MaxmemoryPolicy::Noeviction => "maxmemory-policy" one_of(MaxmemoryPolicy::NAMES) [] "What is evicted when memory is full.";
    maxmemory_samples: u32 = 5 => "maxmemory-samples" int(1, INT_MAX) [] "Keys that are compared for each eviction.";
    maxmemory_eviction_tenacity: u32 = 10 => "maxmemory-eviction-tenacity" int(0, 100) [] "How long eviction may hold up a command.";
    lfu_log_factor: u32 = 10 => "lfu-log-factor" int(0, INT_MAX) [] "How slowly the frequency counter of a key grows.";
    lfu_decay_time_min: u32 = 1 => "lfu-decay-time" int(0, INT_MAX) [] "Minutes after which the frequency counter of a key is lowered.";
    active_expire_effort: u32 = 1 => "active-expire-effort" int(1, 10) [STORED] "How hard expired keys are looked for.";
    lazyfree_lazy_eviction: bool = false => "lazyfree-lazy-eviction" yes_no() [] "Free evicted values in the background.";
    lazyfree_lazy_expire: bool = false => "lazyfree-lazy-expire" yes_no() [] "Free expired values in the background.";
    lazyfree_lazy_server_del: bool = false => "lazyfree-lazy-server-del" yes_no() [STORED] "Free overwritten values in the background.";
    lazyfree_lazy_user_del: bool = false => "lazyfree-lazy-user-del" yes_no() [] "Let DEL free in the background, as UNLINK does.";
    lazyfree_lazy_user_flush: bool = false => "lazyfree-lazy-user-flush" yes_no() [] "Let FLUSHALL and FLUSHDB free in the background.";
    lua_memory_limit_bytes: u64 = 512 * MB => "lua-memory-limit" memory(1 << 24, LONG_MAX) [OURS] "Memory that scripts may use on one worker, and functions again; a script that wants more gets an error.";
    activerehashing: bool = true => "activerehashing" yes_no() [STORED] "Grow and shrink hash tables in the background.";
    jemalloc_bg_thread: bool = true => "jemalloc-bg-thread" yes_no() [APPLIED] "Let the allocator return memory in the background.";
    activedefrag: bool = false => "activedefrag" yes_no() [] requires(ActiveDefrag: "no") "Move values to defragment memory.";
    active_defrag_cycle_min_percent: u32 = 1 => "active-defrag-cycle-min" int(1, 99) [STORED] "Least share of CPU time for defragmentation.";
    active_defrag_cycle_max_percent: u32 = 25 => "active-defrag-cycle-max" int(1, 99) [STORED] "Greatest share of CPU time for defragmentation.";
    active_defrag_threshold_lower_percent: u32 = 10 => "active-defrag-threshold-lower" int(0, 1000) [STORED] "Fragmentation that starts defragmentation.";
    active_defrag_threshold_upper_percent: u32 = 100 => "active-defrag-threshold-upper" int(0, 1000) [STORED] "Fragmentation at which most effort is spent.";
    active_defrag_ignore_bytes: u64 = 100 * MB => "active-defrag-ignore-bytes" memory(1, LONG_MAX) [STORED] "Fragmentation in bytes below which nothing is done.";
    active_defrag_max_scan_fields: u64 = 1000 => "active-defrag-max-scan-fields" int(1, LONG_MAX) [STORED] "Larger collections are defragmented in steps.";
}
"Encodings" {
    hash_max_listpack_entries: u64 = 512 => "hash-max-listpack-entries" | "hash-max-ziplist-entries" int(0, LONG_MAX) [] "Hashes with no more fields are packed.";
    hash_max_listpack_value_bytes: u64 = 64 => "hash-max-listpack-value" | "hash-max-ziplist-value" memory(0, LONG_MAX) [] "Hashes with no longer field or value are packed.";
    list_max_listpack_size: i32 = -2 => "list-max-listpack-size" | "list-max-ziplist-size" int(INT_MIN, INT_MAX) [] "Elements of a list node; -1 to -5 mean 4 to 64 KiB.";
    list_compress_depth: u32 = 0 => "list-compress-depth" int(0, INT_MAX) [STORED] "List nodes at each end that are not compressed; 0 compresses none.";
    set_max_intset_entries: u64 = 512 => "set-max-intset-entries" int(0, LONG_MAX) [] "Sets of integers with no more members are packed.";
    zset_max_listpack_entries: u64 = 128 => "zset-max-listpack-entries" | "zset-max-ziplist-entries" int(0, LONG_MAX) [] "Sorted sets with no more members are packed.";
    zset_max_listpack_value_bytes: u64 = 64 => "zset-max-listpack-value" | "zset-max-ziplist-value" memory(0, LONG_MAX) [] "Sorted sets with no longer member are packed.";
    hll_sparse_max_bytes: u64 = 3000 => "hll-sparse-max-bytes" memory(0, LONG_MAX) [] "HyperLogLogs up to this size are sparse.";
    stream_node_max_bytes: u64 = 4096 => "stream-node-max-bytes" memory(0, LONG_MAX) [] "Bytes of a stream node; 0 is no limit.";
    stream_node_max_entries: u64 = 100 => "stream-node-max-entries" int(0, LONG_MAX) [] "Entries of a stream node; 0 is no limit.";
}
    } $($rest)* } };
}
