//! Which keys and clients take most, as the admin port shows it.

use crate::admin::{
    BusyClient, BusyLibrary, FoundMost, KeyStatistics, LargeKey, PlainAmount, PrefixAmount, Text, TypeAmount,
    UsedKey, UsedMost, UsedShare, id_of,
};
use crate::command::ports::Clients as _;
use crate::data::sketch::{Cut, Heavy};
use crate::engine::usage::MEAN_GAP;
use crate::engine::usage::report::{CONFIDENCE, Found, Share, Used};
use crate::observe::metrics::{FoundFigures, KeyFigures};
use crate::store::{self, TYPES};

use super::host::Host;

/// What is known now, the first `top` of each kind.
pub(super) fn statistics(host: &Host, top: usize) -> KeyStatistics {
    let on = host.config.current().key_statistics;
    let Some(engine) = host.append_only.engine.get() else {
        return KeyStatistics { on, ..KeyStatistics::default() };
    };
    let report = engine.usage.report(host.clock.unix_ms(), top);
    KeyStatistics { on, used: used(host, &report.used), found: report.found.map(|found| show(&found, top)) }
}

/// The part of it that metrics show.
pub(super) fn figures(host: &Host) -> KeyFigures {
    let Some(engine) = host.append_only.engine.get() else { return KeyFigures::default() };
    let found = engine.usage.found_in_short().map(|found| FoundFigures {
        ended_unix_ms: found.ended_ms,
        took_seconds: found.ended_ms.saturating_sub(found.began_ms) as f64 / 1e3,
        types: TYPES
            .iter()
            .zip(&found.types)
            .map(|(value_type, amount)| (value_type.name(), amount.keys, amount.bytes))
            .collect(),
    });
    KeyFigures { samples: engine.usage.drawn(), found }
}

fn text<const N: usize>(cut: &Cut<N>) -> Text {
    Text::begin_of(cut.bytes(), cut.length())
}

fn share(share: &Share) -> UsedShare {
    UsedShare {
        share: share.of_all,
        share_low: share.low,
        share_high: share.high,
        per_second: share.per_second,
        writes: share.written,
    }
}

fn used(host: &Host, used: &Used) -> UsedMost {
    UsedMost {
        window_s: used.window_ms as f64 / 1e3,
        samples: used.draws.round() as u64,
        one_in: MEAN_GAP,
        confidence: CONFIDENCE,
        requests_per_second: used.requests_per_second,
        accesses_per_second: used.accesses_per_second,
        keys: used
            .keys
            .iter()
            .map(|(key, of)| {
                let name = text(&key.name);
                UsedKey { db: key.database as usize, id: id_of(&name), name, share: share(of) }
            })
            .collect(),
        clients: used
            .clients
            .iter()
            .map(|(client, of)| BusyClient {
                id: client.id,
                address: text(&client.address),
                name: text(&client.name),
                connected: host.clients.find(client.id).is_some(),
                share: share(of),
            })
            .collect(),
        libraries: used
            .origins
            .iter()
            .map(|(origin, of)| BusyLibrary {
                name: text(&origin.name),
                library: text(&origin.library),
                version: text(&origin.version),
                share: share(of),
            })
            .collect(),
    }
}

fn show(found: &Found, top: usize) -> FoundMost {
    let tallied = &found.tallied;
    let large = |key: &store::LargeKey| {
        let name = text(&key.name);
        LargeKey {
            db: key.database,
            id: id_of(&name),
            name,
            kind: key.value_type.name(),
            elements: key.elements,
            bytes: key.bytes,
        }
    };
    let prefix = |heavy: &Heavy<Cut<64>>| PrefixAmount {
        prefix: text(&heavy.of),
        keys: heavy.part,
        bytes_low: heavy.low,
        bytes_high: heavy.high,
    };
    let by_type = TYPES.iter().zip(&tallied.types).map(|(value_type, amount)| TypeAmount {
        name: value_type.name(),
        keys: amount.keys,
        elements: amount.elements,
        bytes: amount.bytes,
    });
    FoundMost {
        ended_unix_ms: found.ended_ms,
        took_s: found.ended_ms.saturating_sub(found.began_ms) as f64 / 1e3,
        busy_s: found.spent_ns as f64 / 1e9,
        keys: tallied.types.iter().map(|amount| amount.keys).sum(),
        bytes: tallied.types.iter().map(|amount| amount.bytes).sum(),
        types: by_type.collect(),
        prefixes: tallied.prefixes.all.iter().take(top).map(prefix).collect(),
        without_prefix: PlainAmount {
            keys: tallied.without_prefix.keys,
            bytes: tallied.without_prefix.bytes,
        },
        largest_by_bytes: tallied.by_bytes.iter().take(top).map(large).collect(),
        largest_by_elements: tallied.by_elements.iter().take(top).map(large).collect(),
    }
}
