//! What a client sees of consumer groups.

use crate::command::testing::transcript;

#[test]
fn a_group_tells_how_far_it_is() {
    transcript(
        r#"
        > XGROUP CREATE s g $
        (error) ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
        > XGROUP CREATE s g $ MKSTREAM
        OK
        > XGROUP CREATE s g $ MKSTREAM
        (error) BUSYGROUP Consumer Group name already exists
        > XGROUP CREATE s late $
        OK
        > XADD s 1-0 n 1
        "1-0"
        > XADD s 2-0 n 2
        "2-0"
        > XADD s 3-0 n 3
        "3-0"
        > XGROUP CREATE s first 0
        OK
        > XGROUP CREATE s given 2-0 ENTRIESREAD 2
        OK
        > XGROUP CREATE s middle 2
        OK
        > XINFO GROUPS s
        1)  1) "name"
            2) "first"
            3) "consumers"
            4) (integer) 0
            5) "pending"
            6) (integer) 0
            7) "last-delivered-id"
            8) "0-0"
            9) "entries-read"
           10) (nil)
           11) "lag"
           12) (integer) 3
        2)  1) "name"
            2) "g"
            3) "consumers"
            4) (integer) 0
            5) "pending"
            6) (integer) 0
            7) "last-delivered-id"
            8) "0-0"
            9) "entries-read"
           10) (nil)
           11) "lag"
           12) (integer) 3
        3)  1) "name"
            2) "given"
            3) "consumers"
            4) (integer) 0
            5) "pending"
            6) (integer) 0
            7) "last-delivered-id"
            8) "2-0"
            9) "entries-read"
           10) (integer) 2
           11) "lag"
           12) (integer) 1
        4)  1) "name"
            2) "late"
            3) "consumers"
            4) (integer) 0
            5) "pending"
            6) (integer) 0
            7) "last-delivered-id"
            8) "0-0"
            9) "entries-read"
           10) (nil)
           11) "lag"
           12) (integer) 3
        5)  1) "name"
            2) "middle"
            3) "consumers"
            4) (integer) 0
            5) "pending"
            6) (integer) 0
            7) "last-delivered-id"
            8) "2-0"
            9) "entries-read"
           10) (nil)
           11) "lag"
           12) (nil)
        > XINFO STREAM s FULL
         1) "length"
         2) (integer) 3
         3) "radix-tree-keys"
         4) (integer) 1
         5) "radix-tree-nodes"
         6) (integer) 2
         7) "last-generated-id"
         8) "3-0"
         9) "max-deleted-entry-id"
        10) "0-0"
        11) "entries-added"
        12) (integer) 3
        13) "recorded-first-entry-id"
        14) "1-0"
        15) "entries"
        16) 1) 1) "1-0"
               2) 1) "n"
                  2) "1"
            2) 1) "2-0"
               2) 1) "n"
                  2) "2"
            3) 1) "3-0"
               2) 1) "n"
                  2) "3"
        17) "groups"
        18) 1)  1) "name"
                2) "first"
                3) "last-delivered-id"
                4) "0-0"
                5) "entries-read"
                6) (nil)
                7) "lag"
                8) (integer) 3
                9) "pel-count"
               10) (integer) 0
               11) "pending"
               12) (empty array)
               13) "consumers"
               14) (empty array)
            2)  1) "name"
                2) "g"
                3) "last-delivered-id"
                4) "0-0"
                5) "entries-read"
                6) (nil)
                7) "lag"
                8) (integer) 3
                9) "pel-count"
               10) (integer) 0
               11) "pending"
               12) (empty array)
               13) "consumers"
               14) (empty array)
            3)  1) "name"
                2) "given"
                3) "last-delivered-id"
                4) "2-0"
                5) "entries-read"
                6) (integer) 2
                7) "lag"
                8) (integer) 1
                9) "pel-count"
               10) (integer) 0
               11) "pending"
               12) (empty array)
               13) "consumers"
               14) (empty array)
            4)  1) "name"
                2) "late"
                3) "last-delivered-id"
                4) "0-0"
                5) "entries-read"
                6) (nil)
                7) "lag"
                8) (integer) 3
                9) "pel-count"
               10) (integer) 0
               11) "pending"
               12) (empty array)
               13) "consumers"
               14) (empty array)
            5)  1) "name"
                2) "middle"
                3) "last-delivered-id"
                4) "2-0"
                5) "entries-read"
                6) (nil)
                7) "lag"
                8) (nil)
                9) "pel-count"
               10) (integer) 0
               11) "pending"
               12) (empty array)
               13) "consumers"
               14) (empty array)
        > XDEL s 2-0
        (integer) 1
        > XREADGROUP GROUP first c COUNT 1 STREAMS s >
        1) 1) "s"
           2) 1) 1) "1-0"
                 2) 1) "n"
                    2) "1"
        > XINFO GROUPS s
        1)  1) "name"
            2) "first"
            3) "consumers"
            4) (integer) 1
            5) "pending"
            6) (integer) 1
            7) "last-delivered-id"
            8) "1-0"
            9) "entries-read"
           10) (nil)
           11) "lag"
           12) (nil)
        2)  1) "name"
            2) "g"
            3) "consumers"
            4) (integer) 0
            5) "pending"
            6) (integer) 0
            7) "last-delivered-id"
            8) "0-0"
            9) "entries-read"
           10) (nil)
           11) "lag"
           12) (nil)
        3)  1) "name"
            2) "given"
            3) "consumers"
            4) (integer) 0
            5) "pending"
            6) (integer) 0
            7) "last-delivered-id"
            8) "2-0"
            9) "entries-read"
           10) (integer) 2
           11) "lag"
           12) (nil)
        4)  1) "name"
            2) "late"
            3) "consumers"
            4) (integer) 0
            5) "pending"
            6) (integer) 0
            7) "last-delivered-id"
            8) "0-0"
            9) "entries-read"
           10) (nil)
           11) "lag"
           12) (nil)
        5)  1) "name"
            2) "middle"
            3) "consumers"
            4) (integer) 0
            5) "pending"
            6) (integer) 0
            7) "last-delivered-id"
            8) "2-0"
            9) "entries-read"
           10) (nil)
           11) "lag"
           12) (nil)
        > XGROUP SETID s middle 3
        OK
        > XGROUP SETID s middle $ ENTRIESREAD 3
        OK
        > XGROUP SETID s middle - ENTRIESREAD -1
        OK
        > XGROUP CREATECONSUMER s g c
        (integer) 1
        > XGROUP CREATECONSUMER s g c
        (integer) 0
        > XGROUP CREATECONSUMER s nogroup c
        (error) NOGROUP No such consumer group 'nogroup' for key name 's'
        > XGROUP DELCONSUMER s g c
        (integer) 0
        > XGROUP DELCONSUMER s g c
        (integer) 0
        > XGROUP DELCONSUMER s nogroup c
        (error) NOGROUP No such consumer group 'nogroup' for key name 's'
        > XGROUP DESTROY s g
        (integer) 1
        > XGROUP DESTROY s g
        (integer) 0
        > XGROUP DESTROY none g
        (error) ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
        > XGROUP SETID s nogroup 1
        (error) NOGROUP No such consumer group 'nogroup' for key name 's'
        > XGROUP SETID s first x
        (error) ERR Invalid stream ID specified as stream command argument
        > XGROUP SETID s first 1 MKSTREAM
        (error) ERR unknown subcommand or wrong number of arguments for 'SETID'. Try XGROUP HELP.
        > XGROUP SETID s first 1 ENTRIESREAD -2
        (error) ERR value for ENTRIESREAD must be positive or -1
        > XGROUP SETID s first 1 ENTRIESREAD
        (error) ERR unknown subcommand or wrong number of arguments for 'SETID'. Try XGROUP HELP.
        > XGROUP CREATE s other x
        (error) ERR Invalid stream ID specified as stream command argument
        > XGROUP CREATE s other 1 ENTRIESREAD x
        (error) ERR value is not an integer or out of range
        > XGROUP CREATE s other 1 NOTHING
        (error) ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.
        > XGROUP CREATE s
        (error) ERR wrong number of arguments for 'xgroup|create' command
        > XGROUP WHAT s
        (error) ERR unknown subcommand 'WHAT'. Try XGROUP HELP.
        > XGROUP
        (error) ERR wrong number of arguments for 'xgroup' command
        > SET k v
        OK
        > XGROUP CREATE k g $ MKSTREAM
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > XGROUP DESTROY k g
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > XINFO GROUPS k
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        > XINFO GROUPS none
        (error) ERR no such key
        > XINFO CONSUMERS s nogroup
        (error) NOGROUP No such consumer group 'nogroup' for key name 's'
        > XINFO CONSUMERS none g
        (error) ERR no such key
        > XINFO STREAM none
        (error) ERR no such key
        > XINFO STREAM s WHAT
        (error) ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.
        > XINFO STREAM s FULL COUNT
        (error) ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.
        > XINFO STREAM s FULL COUNT x
        (error) ERR value is not an integer or out of range
        > XINFO STREAM s FULL OTHER 1
        (error) ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.
        > XINFO WHAT s
        (error) ERR unknown subcommand 'WHAT'. Try XINFO HELP.
        > XGROUP HELP
         1) XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
         2) CREATE <key> <groupname> <id|$> [option]
         3)     Create a new consumer group. Options are:
         4)     * MKSTREAM
         5)       Create the empty stream if it does not exist.
         6)     * ENTRIESREAD entries_read
         7)       Set the group's entries_read counter (internal use).
         8) CREATECONSUMER <key> <groupname> <consumer>
         9)     Create a new consumer in the specified group.
        10) DELCONSUMER <key> <groupname> <consumer>
        11)     Remove the specified consumer.
        12) DESTROY <key> <groupname>
        13)     Remove the specified group.
        14) SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]
        15)     Set the current group ID and entries_read counter.
        16) HELP
        17)     Prints this help.
        > XINFO HELP
        1) XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
        2) CONSUMERS <key> <groupname>
        3)     Show consumers of <groupname>.
        4) GROUPS <key>
        5)     Show the stream consumer groups.
        6) STREAM <key> [FULL [COUNT <count>]
        7)     Show information about the stream.
        8) HELP
        9)     Prints this help.
        "#,
    );
}
