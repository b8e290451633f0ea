//! CLUSTER, and what belongs to a cluster. This server stands alone, and says so as a Redis does that was started
//! without `cluster-enabled`.
//!
//! What lives here: the rows, so that clients learn the commands' arguments and are refused in Redis's words. What never
//! does: slots and nodes, which are not there yet.

use super::context::unknown_subcommand;
use super::row::{Acl, Flags, Group};
use super::{Args, Command, CommandError, Context, Outcome};

/// The rows of this family.
pub static COMMANDS: &[Command] = &[
    Command {
        syntax: "",
        summary: "A container for cluster commands.",
        complexity: "Depends on subcommand.",
        run: unknown_subcommand,
        subcommands: SUBCOMMANDS,
        ..subcommand("CLUSTER", "")
    },
    Command {
        flags: Flags::FAST,
        acl: Acl::CONNECTION,
        ..subcommand("ASKING", "Lets the next command use a slot that is being imported.")
    },
    Command {
        flags: Flags::FAST.with(Flags::LOADING).with(Flags::STALE),
        acl: Acl::CONNECTION,
        ..subcommand("READONLY", "Lets the connection read from a replica of the cluster.")
    },
    Command {
        flags: Flags::FAST.with(Flags::LOADING).with(Flags::STALE),
        acl: Acl::CONNECTION,
        ..subcommand("READWRITE", "Takes back READONLY.")
    },
];

const ADMIN: Flags = Flags::ADMIN.with(Flags::STALE);
const CHANGES: Flags = ADMIN.with(Flags::NO_ASYNC_LOADING);
const VARYING: &[&str] = &["nondeterministic_output"];

static SUBCOMMANDS: &[Command] = &[
    Command {
        syntax: "slot [slot ...]",
        since: "3.0.0",
        complexity: "O(N) where N is the total number of hash slot arguments",
        flags: CHANGES,
        ..subcommand("ADDSLOTS", "Gives slots to this node.")
    },
    Command {
        syntax: "start-slot end-slot [start-slot end-slot ...]",
        since: "7.0.0",
        complexity: "O(N) where N is the total number of the slots between the start slot and end slot arguments.",
        flags: CHANGES,
        ..subcommand("ADDSLOTSRANGE", "Gives ranges of slots to this node.")
    },
    Command {
        syntax: "",
        since: "3.0.0",
        complexity: "O(1)",
        flags: CHANGES,
        tips: VARYING,
        ..subcommand("BUMPEPOCH", "Raises the epoch of the cluster's configuration.")
    },
    Command {
        syntax: "node-id",
        since: "3.0.0",
        complexity: "O(N) where N is the number of failure reports",
        flags: ADMIN,
        tips: VARYING,
        ..subcommand("COUNT-FAILURE-REPORTS", "Says how many reports of a node's failure are active.")
    },
    Command {
        syntax: "slot",
        since: "3.0.0",
        complexity: "O(1)",
        flags: Flags::STALE,
        ..subcommand("COUNTKEYSINSLOT", "Says how many keys are in a slot.")
    },
    Command {
        syntax: "slot [slot ...]",
        since: "3.0.0",
        complexity: "O(N) where N is the total number of hash slot arguments",
        flags: CHANGES,
        ..subcommand("DELSLOTS", "Takes slots from this node.")
    },
    Command {
        syntax: "start-slot end-slot [start-slot end-slot ...]",
        since: "7.0.0",
        complexity: "O(N) where N is the total number of the slots between the start slot and end slot arguments.",
        flags: CHANGES,
        ..subcommand("DELSLOTSRANGE", "Takes ranges of slots from this node.")
    },
    Command {
        syntax: "[FORCE | TAKEOVER]",
        since: "3.0.0",
        complexity: "O(1)",
        flags: CHANGES,
        arguments: "force_takeover =options",
        ..subcommand("FAILOVER", "Makes this replica the master of its slots.")
    },
    Command {
        syntax: "",
        since: "3.0.0",
        complexity: "O(1)",
        flags: CHANGES,
        ..subcommand("FLUSHSLOTS", "Takes all slots from this node.")
    },
    Command {
        syntax: "node-id",
        since: "3.0.0",
        complexity: "O(1)",
        flags: CHANGES,
        ..subcommand("FORGET", "Removes a node from the table of nodes.")
    },
    Command {
        syntax: "slot count",
        since: "3.0.0",
        complexity: "O(log(N)) where N is the number of requested keys",
        flags: Flags::STALE,
        tips: VARYING,
        ..subcommand("GETKEYSINSLOT", "Returns keys of a slot.")
    },
    Command {
        syntax: "",
        since: "5.0.0",
        complexity: "O(1)",
        flags: Flags::LOADING.with(Flags::STALE),
        ..subcommand("HELP", "Returns helpful text about the subcommands.")
    },
    Command {
        syntax: "",
        since: "3.0.0",
        complexity: "O(1)",
        flags: Flags::STALE,
        tips: VARYING,
        ..subcommand("INFO", "Returns the state of this node and of its cluster.")
    },
    Command {
        syntax: "key",
        since: "3.0.0",
        complexity: "O(N) where N is the number of bytes in the key",
        flags: Flags::STALE,
        arguments: "key :string",
        ..subcommand("KEYSLOT", "Returns the slot of a key.")
    },
    Command {
        syntax: "",
        since: "7.0.0",
        complexity: "O(N) where N is the total number of Cluster nodes",
        flags: Flags::STALE,
        tips: VARYING,
        ..subcommand("LINKS", "Returns the connections to the other nodes.")
    },
    Command {
        syntax: "ip port [cluster_bus_port]",
        since: "3.0.0",
        complexity: "O(1)",
        flags: CHANGES,
        arguments: "cluster_* :integer @4.0.0",
        history: &[("4.0.0", "Added the optional `cluster_bus_port` argument.")],
        ..subcommand("MEET", "Makes two nodes know each other.")
    },
    Command {
        syntax: "",
        since: "3.0.0",
        complexity: "O(1)",
        flags: Flags::STALE,
        ..subcommand("MYID", "Returns this node's ID.")
    },
    Command {
        syntax: "",
        since: "3.0.0",
        complexity: "O(N) where N is the total number of Cluster nodes",
        flags: Flags::STALE,
        tips: VARYING,
        ..subcommand("NODES", "Returns the configuration as this node sees it.")
    },
    Command {
        syntax: "node-id",
        since: "5.0.0",
        complexity: "O(1)",
        flags: ADMIN,
        tips: VARYING,
        ..subcommand("REPLICAS", "Lists a master's replicas.")
    },
    Command {
        syntax: "node-id",
        since: "3.0.0",
        complexity: "O(1)",
        flags: CHANGES,
        ..subcommand("REPLICATE", "Makes this node a replica of a master.")
    },
    Command {
        syntax: "[HARD | SOFT]",
        since: "3.0.0",
        complexity: "O(N) where N is the number of known nodes. The command may execute a FLUSHALL as a side effect.",
        flags: ADMIN.with(Flags::NOSCRIPT),
        ..subcommand("RESET", "Makes this node forget its cluster.")
    },
    Command {
        syntax: "",
        since: "3.0.0",
        complexity: "O(1)",
        flags: CHANGES,
        ..subcommand("SAVECONFIG", "Writes the configuration to the disk.")
    },
    Command {
        syntax: "config-epoch",
        since: "3.0.0",
        complexity: "O(1)",
        flags: CHANGES,
        ..subcommand("SET-CONFIG-EPOCH", "Sets the epoch of a new node.")
    },
    Command {
        syntax: "slot <IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE>",
        since: "3.0.0",
        complexity: "O(1)",
        flags: CHANGES,
        arguments: "node-id_* =subcommand",
        ..subcommand("SETSLOT", "Binds a slot to a node, or says that it moves.")
    },
    Command {
        syntax: "",
        since: "7.0.0",
        complexity: "O(N) where N is the total number of cluster nodes",
        flags: Flags::STALE,
        tips: VARYING,
        ..subcommand("SHARDS", "Returns which nodes serve which slots.")
    },
    Command {
        syntax: "node-id",
        since: "3.0.0",
        complexity: "O(1)",
        flags: ADMIN,
        tips: VARYING,
        deprecated: Some(("5.0.0", "`CLUSTER REPLICAS`")),
        ..subcommand("SLAVES", "The older name of CLUSTER REPLICAS.")
    },
    Command {
        syntax: "",
        since: "3.0.0",
        complexity: "O(N) where N is the total number of Cluster nodes",
        flags: Flags::STALE,
        tips: VARYING,
        history: &[("4.0.0", "Added node IDs."), ("7.0.0", "Added additional networking metadata field.")],
        deprecated: Some(("7.0.0", "`CLUSTER SHARDS`")),
        ..subcommand("SLOTS", "Returns which slots are served by which nodes, as clients before Redis 7 ask.")
    },
];

/// A row that only refuses.
const fn subcommand(name: &'static str, summary: &'static str) -> Command {
    Command { name, summary, since: "3.0.0", group: Group::Cluster, run: disabled, ..Command::BASE }
}

fn disabled(_: &mut Context<'_>, _: Args<'_>) -> Outcome {
    Err(CommandError::fixed("ERR This instance has cluster support disabled"))
}

#[cfg(test)]
mod tests {
    use crate::command::testing::transcript;

    #[test]
    fn a_server_that_stands_alone_says_so() {
        transcript(
            r#"
            > CLUSTER ADDSLOTS 1
            (error) ERR This instance has cluster support disabled
            > CLUSTER ADDSLOTSRANGE 1 2
            (error) ERR This instance has cluster support disabled
            > CLUSTER BUMPEPOCH
            (error) ERR This instance has cluster support disabled
            > CLUSTER COUNT-FAILURE-REPORTS x
            (error) ERR This instance has cluster support disabled
            > CLUSTER COUNTKEYSINSLOT 1
            (error) ERR This instance has cluster support disabled
            > CLUSTER DELSLOTS 1
            (error) ERR This instance has cluster support disabled
            > CLUSTER DELSLOTSRANGE 1 2
            (error) ERR This instance has cluster support disabled
            > CLUSTER FAILOVER
            (error) ERR This instance has cluster support disabled
            > CLUSTER FLUSHSLOTS
            (error) ERR This instance has cluster support disabled
            > CLUSTER FORGET x
            (error) ERR This instance has cluster support disabled
            > CLUSTER GETKEYSINSLOT 1 1
            (error) ERR This instance has cluster support disabled
            > CLUSTER HELP
            (error) ERR This instance has cluster support disabled
            > CLUSTER INFO
            (error) ERR This instance has cluster support disabled
            > CLUSTER KEYSLOT k
            (error) ERR This instance has cluster support disabled
            > CLUSTER LINKS
            (error) ERR This instance has cluster support disabled
            > CLUSTER MEET 127.0.0.1 7000
            (error) ERR This instance has cluster support disabled
            > CLUSTER MYID
            (error) ERR This instance has cluster support disabled
            > CLUSTER NODES
            (error) ERR This instance has cluster support disabled
            > CLUSTER REPLICAS x
            (error) ERR This instance has cluster support disabled
            > CLUSTER REPLICATE x
            (error) ERR This instance has cluster support disabled
            > CLUSTER RESET
            (error) ERR This instance has cluster support disabled
            > CLUSTER SAVECONFIG
            (error) ERR This instance has cluster support disabled
            > CLUSTER SET-CONFIG-EPOCH 1
            (error) ERR This instance has cluster support disabled
            > CLUSTER SETSLOT 1 STABLE
            (error) ERR This instance has cluster support disabled
            > CLUSTER SHARDS
            (error) ERR This instance has cluster support disabled
            > CLUSTER SLAVES x
            (error) ERR This instance has cluster support disabled
            > CLUSTER SLOTS
            (error) ERR This instance has cluster support disabled
            > ASKING
            (error) ERR This instance has cluster support disabled
            > READONLY
            (error) ERR This instance has cluster support disabled
            > READWRITE
            (error) ERR This instance has cluster support disabled
            > CLUSTER KEYSLOT
            (error) ERR wrong number of arguments for 'cluster|keyslot' command
            > CLUSTER
            (error) ERR wrong number of arguments for 'cluster' command
            "#,
        );
    }
}
