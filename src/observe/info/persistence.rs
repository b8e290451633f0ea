//! Persistence.

use super::{Fields, Look, ratio, seconds_or_none};
use crate::observe::counters::Counter;

pub(super) fn persistence(fields: &mut Fields, look: &Look<'_>) {
    let figures = look.figures;
    fields.put("loading", u8::from(figures.loading));
    fields.put("async_loading", 0);
    running_save(fields, look);
    saves(fields, look);
    log_and_modules(fields, look);
    if figures.loading {
        load(fields, look);
    }
    fields.put("glasswing_save_seconds_left", seconds_left(figures.save_seconds_left));
    fields.put("glasswing_saves_failed", look.stats.counter(Counter::SavesFailed));
}

fn running_save(fields: &mut Fields, look: &Look<'_>) {
    let figures = look.figures;
    fields.put("current_cow_peak", figures.save_retained_peak_bytes);
    fields.put("current_cow_size", figures.save_retained_bytes);
    // The size is read at the moment of the look: it has no age.
    fields.put("current_cow_size_age", 0);
    let percent = figures.save.map_or(0.0, |save| save.ratio() * 100.0);
    fields.put("current_fork_perc", format_args!("{percent:.2}"));
    let save = figures.save.unwrap_or_default();
    fields.put("current_save_keys_processed", save.keys_done);
    fields.put("current_save_keys_total", save.keys_total);
}

fn saves(fields: &mut Fields, look: &Look<'_>) {
    let (figures, stats) = (look.figures, look.stats);
    fields.put("rdb_changes_since_last_save", figures.rdb_changes_since_last_save);
    fields.put("rdb_bgsave_in_progress", u8::from(figures.save.is_some()));
    fields.put("rdb_last_save_time", figures.rdb_last_save_unix_seconds);
    fields.put("rdb_last_bgsave_status", if figures.rdb_last_bgsave_ok { "ok" } else { "err" });
    fields.put("rdb_last_bgsave_time_sec", seconds_or_none(figures.rdb_last_bgsave_seconds));
    fields.put("rdb_current_bgsave_time_sec", seconds_or_none(figures.rdb_current_bgsave_seconds));
    // Redis counts a save when it begins.
    let ended = stats.counter(Counter::SavesCompleted) + stats.counter(Counter::SavesFailed);
    fields.put("rdb_saves", ended + u64::from(figures.save.is_some()));
    fields.put("rdb_last_cow_size", figures.rdb_last_cow_size);
    fields.put("rdb_last_load_keys_expired", figures.rdb_last_load_keys_expired);
    fields.put("rdb_last_load_keys_loaded", figures.rdb_last_load_keys_loaded);
}

/// The append-only file. There is no module.
fn log_and_modules(fields: &mut Fields, look: &Look<'_>) {
    let aof = &look.figures.aof;
    let status = |failed: bool| if failed { "err" } else { "ok" };
    fields.put("aof_enabled", u8::from(aof.enabled));
    fields.put("aof_rewrite_in_progress", u8::from(aof.rewriting));
    fields.put("aof_rewrite_scheduled", u8::from(aof.scheduled));
    fields.put("aof_last_rewrite_time_sec", seconds_or_none(aof.last_rewrite_seconds));
    fields.put("aof_current_rewrite_time_sec", seconds_or_none(aof.current_rewrite_seconds));
    fields.put("aof_last_bgrewrite_status", status(aof.last_rewrite_failed));
    fields.put("aof_rewrites", aof.rewrites);
    fields.put("aof_rewrites_consecutive_failures", aof.failures_in_a_row);
    fields.put("aof_last_write_status", status(aof.write_failed));
    fields.put("aof_last_cow_size", aof.last_cow_size);
    fields.absent(&[("module_fork_in_progress", "0"), ("module_fork_last_cow_size", "0")]);
    if aof.enabled {
        fields.put("aof_current_size", aof.current_size);
        fields.put("aof_base_size", aof.base_size);
        fields.put("aof_pending_rewrite", u8::from(aof.scheduled));
        fields.put("aof_buffer_length", aof.buffered);
        fields.put("aof_pending_bio_fsync", u8::from(aof.syncing));
        fields.put("aof_delayed_fsync", aof.delayed_fsync);
    }
}

fn load(fields: &mut Fields, look: &Look<'_>) {
    let figures = look.figures;
    fields.put("loading_start_time", figures.load_start_unix_seconds);
    fields.put("loading_total_bytes", figures.load_total_bytes);
    // The header of an RDB file names the memory that its writer used; ours does not.
    fields.put("loading_rdb_used_mem", 0);
    fields.put("loading_loaded_bytes", figures.load_done_bytes);
    let percent = ratio(figures.load_done_bytes, figures.load_total_bytes) * 100.0;
    fields.put("loading_loaded_perc", format_args!("{percent:.2}"));
    // Redis, too, says 1 until it can tell.
    fields.put("loading_eta_seconds", figures.load_seconds_left.map_or(1, |left| left.ceil() as u64));
    let keys = figures.load.unwrap_or_default();
    fields.put("glasswing_loading_keys_processed", keys.keys_done);
    fields.put("glasswing_loading_keys_total", keys.keys_total);
}

/// Whole seconds, rounded up; -1 where it cannot be told.
fn seconds_left(left: Option<f64>) -> i64 {
    left.map_or(-1, |left| left.ceil() as i64)
}
