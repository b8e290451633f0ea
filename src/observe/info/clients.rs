//! Clients and Keyspace.

use super::{Fields, Look};

pub(super) fn clients(fields: &mut Fields, look: &Look<'_>) {
    let figures = look.figures;
    fields.put("connected_clients", figures.connected_clients);
    fields.put("cluster_connections", 0);
    fields.put("maxclients", figures.maxclients);
    fields.put("client_recent_max_input_buffer", figures.client_recent_max_input_buffer);
    fields.put("client_recent_max_output_buffer", figures.client_recent_max_output_buffer);
    fields.put("blocked_clients", figures.blocked_clients);
    fields.put("tracking_clients", figures.tracking_clients);
    fields.put("clients_in_timeout_table", figures.clients_in_timeout_table);
}

pub(super) fn keyspace(fields: &mut Fields, look: &Look<'_>) {
    for (number, db) in look.figures.databases.iter().enumerate() {
        if db.keys > 0 {
            let line = format!("keys={},expires={},avg_ttl={}", db.keys, db.expires, db.avg_ttl_ms);
            fields.put(format!("db{number}"), line);
        }
    }
}
