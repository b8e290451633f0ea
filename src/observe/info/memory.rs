//! Memory.

use super::{Fields, Look, human_bytes, minus, ratio};

pub(super) fn memory(fields: &mut Fields, look: &Look<'_>) {
    usage(fields, look);
    scripts(fields, look);
    limits_and_ratios(fields, look);
    buffers(fields, look);
}

fn usage(fields: &mut Fields, look: &Look<'_>) {
    let figures = look.figures;
    fields.bytes("used_memory", figures.used_memory);
    fields.bytes("used_memory_rss", figures.used_memory_rss);
    fields.bytes("used_memory_peak", figures.used_memory_peak);
    fields.put("used_memory_peak_perc", percent(figures.used_memory, figures.used_memory_peak));
    fields.put("used_memory_overhead", figures.used_memory_overhead);
    fields.put("used_memory_startup", figures.used_memory_startup);
    fields.put("used_memory_dataset", figures.used_memory_dataset);
    let net = figures.used_memory.saturating_sub(figures.used_memory_startup);
    fields.put("used_memory_dataset_perc", percent(figures.used_memory_dataset, net));
    fields.put("allocator_allocated", figures.allocator_allocated);
    fields.put("allocator_active", figures.allocator_active);
    fields.put("allocator_resident", figures.allocator_resident);
    fields.bytes("total_system_memory", figures.total_system_memory);
}

/// In the order of Redis, old names beside the new ones.
fn scripts(fields: &mut Fields, look: &Look<'_>) {
    let scripts = look.figures.scripts;
    let states = scripts.script_state_bytes + scripts.function_state_bytes;
    fields.put("used_memory_lua", scripts.script_state_bytes);
    fields.put("used_memory_vm_eval", scripts.script_state_bytes);
    fields.put("used_memory_lua_human", human_bytes(scripts.script_state_bytes));
    fields.put("used_memory_scripts_eval", scripts.script_bytes);
    fields.put("number_of_cached_scripts", scripts.scripts);
    fields.put("number_of_functions", scripts.functions);
    fields.put("number_of_libraries", scripts.libraries);
    fields.put("used_memory_vm_functions", scripts.function_state_bytes);
    fields.bytes("used_memory_vm_total", states);
    fields.put("used_memory_functions", scripts.library_bytes);
    fields.bytes("used_memory_scripts", scripts.kept_bytes());
}

fn limits_and_ratios(fields: &mut Fields, look: &Look<'_>) {
    let figures = look.figures;
    fields.bytes("maxmemory", figures.maxmemory);
    fields.put("maxmemory_policy", &figures.maxmemory_policy);
    let (allocated, active) = (figures.allocator_allocated, figures.allocator_active);
    let (resident, rss) = (figures.allocator_resident, figures.used_memory_rss);
    let used = figures.used_memory;
    let mut pair = |name: &str, more: u64, less: u64| {
        fields.put(format!("{name}_ratio"), format_args!("{:.2}", ratio(more, less)));
        fields.put(format!("{name}_bytes"), minus(more, less));
    };
    pair("allocator_frag", active, allocated);
    pair("allocator_rss", resident, active);
    pair("rss_overhead", rss, resident);
    pair("mem_fragmentation", rss, used);
}

fn buffers(fields: &mut Fields, look: &Look<'_>) {
    let figures = look.figures;
    fields.put("mem_not_counted_for_evict", figures.mem_not_counted_for_evict);
    let stream = &figures.replication;
    fields.put("mem_replication_backlog", stream.memory.saturating_sub(stream.buffer_bytes));
    fields.put("mem_total_replication_buffers", stream.memory);
    fields.put("mem_clients_slaves", figures.mem_clients_replicas);
    fields.put("mem_clients_normal", figures.mem_clients_normal);
    fields.absent(&[("mem_cluster_links", "0")]);
    fields.put("mem_aof_buffer", look.figures.aof.buffered);
    fields.put("mem_allocator", &figures.mem_allocator);
    fields.put("active_defrag_running", 0);
    fields.put("lazyfree_pending_objects", figures.lazyfree_pending_objects);
    fields.put("lazyfreed_objects", figures.lazyfreed_objects);
    fields.put("glasswing_allocator_retained", figures.allocator_retained);
    fields.put("glasswing_allocator_metadata", figures.allocator_metadata);
}

fn percent(part: u64, of: u64) -> String {
    format!("{:.2}%", ratio(part, of) * 100.0)
}
