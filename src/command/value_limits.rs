//! In which form values are stored that come as a whole, from RESTORE or from a file.

use crate::config::Settings;
use crate::data::stream::NodeLimits;
use crate::data::{Limits, NodeLimit, SetLimits, ValueLimits};

/// Up to which sizes values stay packed, as the settings say.
pub fn value_limits(settings: &Settings) -> ValueLimits {
    let count = |setting: u64| usize::try_from(setting).unwrap_or(usize::MAX);
    ValueLimits {
        list: NodeLimit::from_listpack_size(i64::from(settings.list_max_listpack_size)),
        set: SetLimits { max_intset_entries: count(settings.set_max_intset_entries) },
        hash: Limits {
            max_entries: count(settings.hash_max_listpack_entries),
            max_value: count(settings.hash_max_listpack_value_bytes),
        },
        sorted_set: Limits {
            max_entries: count(settings.zset_max_listpack_entries),
            max_value: count(settings.zset_max_listpack_value_bytes),
        },
        stream: NodeLimits {
            max_bytes: settings.stream_node_max_bytes,
            max_entries: settings.stream_node_max_entries,
        },
    }
}
