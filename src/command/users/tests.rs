//! ACL as somebody sees it in redis-cli. What takes several connections stands in `tests/acl.rs`.

use crate::acl::{LogContext, Reason};
use crate::command::testing::{Bench, transcript};

#[test]
fn users_are_made_changed_and_removed() {
    transcript(
        r#"
        > ACL WHOAMI
        "default"
        > ACL USERS
        1) "default"
        > ACL SETUSER alice
        OK
        > ACL SETUSER bob on >secret ~k* %R~r* &news +config|get (+set ~x)
        OK
        > ACL USERS
        1) "alice"
        2) "bob"
        3) "default"
        > ACL LIST
        1) "user alice off resetchannels -@all"
        2) "user bob on #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b ~k* %R~r* resetchannels &news -@all +config|get (~x resetchannels -@all +set)"
        3) "user default on nopass ~* &* +@all"
        > ACL GETUSER alice
         1) "flags"
         2) 1) "off"
         3) "passwords"
         4) (empty array)
         5) "commands"
         6) "-@all"
         7) "keys"
         8) ""
         9) "channels"
        10) ""
        11) "selectors"
        12) (empty array)
        > ACL SETUSER alice on nopass ~a %W~b &c +get (~d +set)
        OK
        > ACL GETUSER alice
         1) "flags"
         2) 1) "on"
            2) "nopass"
         3) "passwords"
         4) (empty array)
         5) "commands"
         6) "-@all +get"
         7) "keys"
         8) "~a %W~b"
         9) "channels"
        10) "&c"
        11) "selectors"
        12) 1) 1) "commands"
               2) "-@all +set"
               3) "keys"
               4) "~d"
               5) "channels"
               6) ""
        > ACL GETUSER nobody
        (nil)
        > ACL DELUSER nobody alice bob
        (integer) 2
        > ACL DELUSER default
        (error) ERR The 'default' user cannot be removed
        > ACL USERS
        1) "default"
        "#,
    );
}

#[test]
fn what_is_no_rule_is_refused() {
    transcript(
        r#"
        > ACL SETUSER alice nonsense
        (error) ERR Error in ACL SETUSER modifier 'nonsense': Syntax error
        > ACL SETUSER alice +nosuch
        (error) ERR Error in ACL SETUSER modifier '+nosuch': Unknown command or category name in ACL
        > ACL SETUSER alice ~* ~a
        (error) ERR Error in ACL SETUSER modifier '~a': Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns
        > ACL SETUSER alice &* &a
        (error) ERR Error in ACL SETUSER modifier '&a': Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels
        > ACL SETUSER alice <nosuch
        (error) ERR Error in ACL SETUSER modifier '<nosuch': The password you are trying to remove from the user does not exist
        > ACL SETUSER alice #12
        (error) ERR Error in ACL SETUSER modifier '#12': The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters
        > ACL SETUSER alice +config|get|x
        (error) ERR Error in ACL SETUSER modifier '+config|get|x': Allowing first-arg of a subcommand is not supported
        > ACL SETUSER alice (+get ~a
        (error) ERR Unmatched parenthesis in acl selector starting at '(+get'.
        > ACL SETUSER "a b" on
        (error) ERR Usernames can't contain spaces or null characters
        > ACL USERS
        1) "default"
        > ACL LOAD
        (error) ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.
        > ACL SAVE
        (error) ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.
        > ACL NOSUCH
        (error) ERR unknown subcommand 'NOSUCH'. Try ACL HELP.
        > ACL
        (error) ERR wrong number of arguments for 'acl' command
        "#,
    );
}

#[test]
fn a_dry_run_says_what_is_missing() {
    transcript(
        r#"
        > ACL SETUSER alice on nopass %R~r* %W~w* ~b* &news +@all -@dangerous -select +select|0
        OK
        > ACL DRYRUN alice GET r1
        OK
        > ACL DRYRUN alice GET w1
        "This user has no permissions to access the 'w1' key"
        > ACL DRYRUN alice SET w1 v
        OK
        > ACL DRYRUN alice SET w1 v GET
        "This user has no permissions to access the 'w1' key"
        > ACL DRYRUN alice SET b1 v GET
        OK
        > ACL DRYRUN alice COPY r1 w1
        OK
        > ACL DRYRUN alice COPY w1 r1
        "This user has no permissions to access the 'w1' key"
        > ACL DRYRUN alice EXISTS r1 w1 b1
        OK
        > ACL DRYRUN alice EXISTS x
        "This user has no permissions to access the 'x' key"
        > ACL DRYRUN alice MSET b1 1 x 2
        "This user has no permissions to access the 'x' key"
        > ACL DRYRUN alice EVAL "return 1" 1 r1
        "This user has no permissions to access the 'r1' key"
        > ACL DRYRUN alice PUBLISH news hello
        OK
        > ACL DRYRUN alice PUBLISH other hello
        "This user has no permissions to access the 'other' channel"
        > ACL DRYRUN alice PSUBSCRIBE news
        OK
        > ACL DRYRUN alice PSUBSCRIBE new*
        "This user has no permissions to access the 'new*' channel"
        > ACL DRYRUN alice UNSUBSCRIBE other
        OK
        > ACL DRYRUN alice FLUSHALL
        "This user has no permissions to run the 'flushall' command"
        > ACL DRYRUN alice CONFIG GET x
        "This user has no permissions to run the 'config|get' command"
        > ACL DRYRUN alice SELECT 0
        OK
        > ACL DRYRUN alice SELECT 1
        "This user has no permissions to run the 'select' command"
        > ACL DRYRUN alice AUTH x
        OK
        > ACL DRYRUN default FLUSHALL
        OK
        > ACL DRYRUN nobody GET a
        (error) ERR User 'nobody' not found
        > ACL DRYRUN alice NOSUCH
        (error) ERR Command 'NOSUCH' not found
        > ACL DRYRUN alice CONFIG NOSUCH
        (error) ERR Command 'CONFIG' not found
        > ACL DRYRUN alice GET
        (error) ERR wrong number of arguments for 'get' command
        > ACL DRYRUN alice CONFIG
        (error) ERR wrong number of arguments for 'config' command
        > ACL DELUSER alice
        (integer) 1
        "#,
    );
}

#[test]
fn any_selector_is_enough_and_the_weightiest_denial_is_told() {
    transcript(
        r#"
        > ACL SETUSER alice on nopass ~a* +get (~b* +set) (~c* +@all)
        OK
        > ACL DRYRUN alice GET a1
        OK
        > ACL DRYRUN alice SET a1 v
        "This user has no permissions to access the 'a1' key"
        > ACL DRYRUN alice SET b1 v
        OK
        > ACL DRYRUN alice MGET c1 c2
        OK
        > ACL DRYRUN alice MGET c1 c2 b1
        "This user has no permissions to access the 'b1' key"
        > ACL DRYRUN alice PUBLISH x y
        "This user has no permissions to access the 'x' channel"
        > ACL DELUSER alice
        (integer) 1
        "#,
    );
}

#[test]
fn categories_passwords_and_help() {
    transcript(
        r#"
        > ACL CAT
         1) "keyspace"
         2) "read"
         3) "write"
         4) "set"
         5) "sortedset"
         6) "list"
         7) "hash"
         8) "string"
         9) "bitmap"
        10) "hyperloglog"
        11) "geo"
        12) "stream"
        13) "pubsub"
        14) "admin"
        15) "fast"
        16) "slow"
        17) "blocking"
        18) "dangerous"
        19) "connection"
        20) "transaction"
        21) "scripting"
        > ACL CAT nosuch
        (error) ERR Unknown category 'nosuch'
        > ACL CAT a b
        (error) ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP.
        > ACL GENPASS 0
        (error) ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096
        > ACL GENPASS 4097
        (error) ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096
        > ACL GENPASS x
        (error) ERR value is not an integer or out of range
        > ACL LOG RESET
        OK
        > ACL LOG
        (empty array)
        > ACL LOG -1
        (empty array)
        > ACL LOG x
        (error) ERR value is not an integer or out of range
        > ACL LOG 1 2
        (error) ERR unknown subcommand or wrong number of arguments for 'LOG'. Try ACL HELP.
        > ACL GENPASS 1 2
        (error) ERR unknown subcommand or wrong number of arguments for 'GENPASS'. Try ACL HELP.
        > ACL HELP
         1) ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
         2) CAT [<category>]
         3)     List all commands that belong to <category>, or all command categories
         4)     when no category is specified.
         5) DELUSER <username> [<username> ...]
         6)     Delete a list of users.
         7) DRYRUN <username> <command> [<arg> ...]
         8)     Returns whether the user can execute the given command without executing the command.
         9) GETUSER <username>
        10)     Get the user's details.
        11) GENPASS [<bits>]
        12)     Generate a secure 256-bit user password. The optional `bits` argument can
        13)     be used to specify a different size.
        14) LIST
        15)     Show users details in config file format.
        16) LOAD
        17)     Reload users from the ACL file.
        18) LOG [<count> | RESET]
        19)     Show the ACL log entries.
        20) SAVE
        21)     Save the current config to the ACL file.
        22) SETUSER <username> <attribute> [<attribute> ...]
        23)     Create or modify a user with the specified attributes.
        24) USERS
        25)     List all the registered usernames.
        26) WHOAMI
        27)     Return the current connection username.
        28) HELP
        29)     Prints this help.
        "#,
    );
}

#[test]
fn a_category_lists_its_commands_and_subcommands() {
    let shown = Bench::new().line("ACL CAT Connection");
    assert!(shown.contains("\"ping\"") && shown.contains("\"client|getname\""), "{shown}");
    assert!(!shown.contains("\"get\""), "{shown}");
}

#[test]
fn passwords_are_drawn_in_hexadecimal_digits() {
    let mut bench = Bench::new();
    for (line, digits) in
        [("ACL GENPASS", 64), ("ACL GENPASS 1", 1), ("ACL GENPASS 5", 2), ("ACL GENPASS 4096", 1024)]
    {
        let shown = bench.line(line);
        let password = shown.trim_matches('"');
        assert_eq!(password.len(), digits, "{line}: {shown}");
        assert!(password.bytes().all(|digit| b"0123456789abcdef".contains(&digit)), "{shown}");
    }
    assert_ne!(bench.line("ACL GENPASS"), bench.line("ACL GENPASS"));
}

#[test]
fn who_logs_in_is_somebody_else() {
    let mut bench = Bench::new();
    assert_eq!(bench.line("ACL SETUSER bob on >one >two +@all ~*"), "OK");
    let wrong = "(error) WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(bench.line("AUTH bob three"), wrong);
    assert_eq!(bench.line("ACL WHOAMI"), "\"default\"");
    assert_eq!(bench.line("AUTH bob two"), "OK");
    assert_eq!(bench.line("ACL WHOAMI"), "\"bob\"");
    assert!(bench.line("CLIENT INFO").contains(" user=bob redir="));
    assert_eq!(bench.line("ACL SETUSER bob off"), "OK");
    assert_eq!(bench.line("AUTH bob two"), wrong);
    assert_eq!(bench.line("ACL WHOAMI"), "\"bob\"");
    assert_eq!(bench.line("RESET"), "RESET");
    assert_eq!(bench.line("ACL WHOAMI"), "\"default\"");
    assert!(bench.line("HELLO 2 AUTH bob two").starts_with(wrong));
    let log = bench.server.acl.log().newest(10);
    let told: Vec<(Reason, u64, String, String)> = log
        .iter()
        .map(|entry| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(entry.refusal.context, LogContext::TopLevel);
            (entry.refusal.reason, entry.count, text(&entry.refusal.object), text(&entry.refusal.user))
        })
        .collect();
    let entry = |count, object: &str| (Reason::Auth, count, object.to_owned(), "bob".to_owned());
    assert_eq!(told, [entry(1, "HELLO"), entry(2, "AUTH")]);
    bench.clock.advance_ms(2_500);
    let shown = bench.line("ACL LOG 1");
    assert!(shown.contains("\"reason\"\n    4) \"auth\"") && shown.contains("\"2.5\""), "{shown}");
    assert!(!shown.contains("two"), "{shown}");
}

#[test]
fn requirepass_is_the_default_users_password() {
    let mut bench = Bench::new();
    assert_eq!(bench.line("CONFIG SET requirepass foobar"), "OK");
    let hash = "c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2";
    assert_eq!(bench.line("ACL LIST"), format!("1) \"user default on #{hash} ~* &* +@all\""));
    assert_eq!(bench.line("AUTH foobar"), "OK");
    assert_eq!(bench.line("CONFIG SET requirepass \"\""), "OK");
    assert_eq!(bench.line("ACL LIST"), "1) \"user default on nopass ~* &* +@all\"");
    assert_eq!(bench.line("CONFIG SET acl-pubsub-default allchannels"), "OK");
    assert_eq!(bench.line("ACL SETUSER bob"), "OK");
    assert!(bench.line("ACL LIST").starts_with("1) \"user bob off &* -@all\""));
}

#[test]
fn a_user_that_removes_itself_is_nobody() {
    use crate::command::client::ClientFlag;
    let mut bench = Bench::new();
    bench.line("ACL SETUSER bob on nopass +@all ~* &*");
    assert_eq!(bench.line("AUTH bob x"), "OK");
    assert_eq!(bench.line("ACL DELUSER bob"), "(integer) 1");
    assert!(
        bench.session.client.has(ClientFlag::CloseAfterReply)
            && !bench.session.client.has(ClientFlag::Killed)
    );
    assert!(!bench.session.authenticated);
}
