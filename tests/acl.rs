//! Users in the running program: who is cut off when, what stands in files, and where passwords never appear.

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{Client, Launch, Server, until};

const HASH_OF_SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

/// A client that has logged in.
fn logged_in(server: &Server, user: &str) -> Client {
    let mut client = server.client();
    assert_eq!(client.line(&format!("AUTH {user} secret")), "OK");
    client
}

fn is_closed(client: &mut Client) -> bool {
    // Whatever was on its way comes first.
    while client.reply().is_some() {}
    true
}

/// Routes of the admin port that show keys, clients or settings.
const TELLING: [&str; 4] = ["/keys", "/key?name=k", "/clients", "/config"];

#[test]
fn what_clients_may_not_see_the_admin_port_does_not_show() {
    let launch = || Launch::new().admin();
    let told = |server: &Server| TELLING.map(|path| server.http("GET", path));
    let server = launch().start();
    let mut client = server.client();
    assert_eq!(client.line("SET k v"), "OK");
    assert!(told(&server).iter().all(|(status, _)| *status == 200));
    for (command, undo, why) in [
        ("CONFIG SET requirepass x", "CONFIG SET requirepass \"\"", "clients need a password"),
        ("ACL SETUSER default -keys", "ACL SETUSER default +@all", "may not do everything"),
        ("ACL SETUSER default resetkeys ~public:*", "ACL SETUSER default allkeys", "may not do everything"),
        ("ACL SETUSER default off", "ACL SETUSER default on", "may not do everything"),
        ("CONFIG SET port 0", "PING", "plain port"),
    ] {
        assert_eq!(client.line(command), "OK");
        for (status, text) in told(&server) {
            assert_eq!(status, 403, "{command}: {text}");
            assert!(text.contains(why), "{command}: {text}");
        }
        assert!(["OK", "PONG"].contains(&client.line(undo).as_str()), "{undo}");
    }
    let renamed = launch().with(&["--rename-command", "KEYS", ""]).start();
    assert!(told(&renamed).iter().all(|(status, text)| *status == 403 && text.contains("renamed")));
}

#[test]
fn connections_of_a_removed_user_end() {
    let server = Server::start(&["--workers", "2"]);
    let mut admin = server.client();
    assert_eq!(admin.line("ACL SETUSER bob on >secret +@all ~* &*"), "OK");
    let (mut idle, mut parked, mut listens) =
        (logged_in(&server, "bob"), logged_in(&server, "bob"), logged_in(&server, "bob"));
    parked.send(&["BLPOP", "nothing", "0"]);
    listens.line("SUBSCRIBE news");
    until("a client is blocked", || admin.info("blocked_clients") == "1");
    let mut itself = logged_in(&server, "bob");
    assert_eq!(itself.line("ACL DELUSER bob"), "(integer) 1");
    for client in [&mut itself, &mut idle, &mut parked, &mut listens] {
        assert!(is_closed(client));
    }
    assert!(admin.line("AUTH bob secret").starts_with("(error) WRONGPASS"));
    // Somebody of the same name is somebody else.
    admin.line("ACL SETUSER bob on nopass");
    assert_eq!(admin.line("CLIENT KILL USER bob"), "(integer) 0");
    assert_eq!(admin.line("CLIENT KILL USER nobody"), "(error) ERR No such user 'nobody'");
}

#[test]
fn a_change_of_rights_holds_for_connections_that_are_there() {
    let server = Server::start(&["--workers", "2"]);
    let mut admin = server.client();
    assert_eq!(admin.line("ACL SETUSER bob on >secret +get +set +multi +exec ~b*"), "OK");
    let mut clients: Vec<Client> = (0..4).map(|_| logged_in(&server, "bob")).collect();
    for client in &mut clients {
        assert_eq!(client.line("SET b1 x"), "OK");
        assert_eq!(client.line("MULTI"), "OK");
        assert_eq!(client.line("SET b1 y"), "QUEUED");
        assert_eq!(client.line("GET b1"), "QUEUED");
    }
    assert_eq!(admin.line("ACL SETUSER bob -set"), "OK");
    for client in &mut clients {
        assert_eq!(
            client.line("EXEC"),
            "1) (error) NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC \
             call. This command is no longer allowed for the following reason: no permission to execute the command \
             or subcommand\n2) \"x\""
        );
        assert_eq!(
            client.line("SET b1 y"),
            "(error) NOPERM this user has no permissions to run the 'set' command"
        );
    }
    let log = admin.line("ACL LOG");
    assert!(log.contains("\"multi\"") && log.contains("\"toplevel\""), "{log}");
    // Four of each, one entry each.
    assert_eq!(log.matches("\"count\"").count(), 2, "{log}");
    assert_eq!(log.matches("(integer) 4").count(), 2, "{log}");
    assert_eq!(admin.line("CONFIG SET acllog-max-len 0"), "OK");
    assert_eq!(admin.line("ACL LOG RESET"), "OK");
    clients[0].line("SET b2 x");
    assert_eq!(admin.line("ACL LOG"), "(empty array)");
}

#[test]
fn who_loses_a_channel_is_cut_off() {
    let server = Server::start(&["--workers", "2"]);
    let mut admin = server.client();
    admin.line("ACL SETUSER bob on >secret +@pubsub &news &sport* &w*");
    let mut news = logged_in(&server, "bob");
    let mut sport = logged_in(&server, "bob");
    let mut pattern = logged_in(&server, "bob");
    let mut shard = logged_in(&server, "bob");
    news.line("SUBSCRIBE news");
    sport.line("SUBSCRIBE sports");
    pattern.line("PSUBSCRIBE sport*");
    shard.line("SSUBSCRIBE weather");
    assert!(
        news.line("PSUBSCRIBE s*")
            .starts_with("(error) NOPERM this user has no permissions to access one of the channels")
    );
    // More does no harm, and neither does what nobody listens to.
    admin.line("ACL SETUSER bob &more");
    admin.line("ACL SETUSER bob resetchannels &news &sport* &weather");
    assert_eq!(
        admin.line("PUBSUB NUMSUB news sports"),
        "1) \"news\"\n2) (integer) 1\n3) \"sports\"\n4) (integer) 1"
    );
    assert_eq!(admin.line("PUBSUB SHARDNUMSUB weather"), "1) \"weather\"\n2) (integer) 1");
    // The channel of `sport` is still allowed, the pattern is not as it was written.
    admin.line("ACL SETUSER bob resetchannels &sports");
    for client in [&mut news, &mut pattern, &mut shard] {
        assert!(is_closed(client));
    }
    assert_eq!(admin.line("PUBLISH sports goal"), "(integer) 1");
    until("the others have gone", || admin.line("PUBSUB NUMPAT") == "(integer) 0");
    assert!(sport.reply().is_some());
}

#[test]
fn an_acl_file_is_read_at_the_start_and_kept() {
    let launch = Launch::new().with(&["--aclfile", "users.acl"]);
    let file = launch.file("users.acl");
    std::fs::write(&file, "user bob on >secret +@all ~* &*\nuser eve on >secret +get ~e*\n").expect("a file");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("permissions");
    let server = launch.start();
    let mut admin = server.client();
    let (mut bob, mut eve) = (logged_in(&server, "bob"), logged_in(&server, "eve"));
    assert_eq!(eve.line("GET e"), "(nil)");
    assert_eq!(bob.line("ACL SETUSER ann on nopass"), "OK");
    assert_eq!(bob.line("ACL SAVE"), "OK");
    let text = std::fs::read_to_string(&file).expect("a file");
    assert_eq!(
        text,
        format!(
            "user ann on nopass resetchannels -@all\nuser bob on #{HASH_OF_SECRET} ~* &* +@all\nuser default on \
             nopass ~* &* +@all\nuser eve on #{HASH_OF_SECRET} ~e* resetchannels -@all +get\n"
        )
    );
    assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o640);
    // A broken file changes nothing.
    std::fs::write(&file, "user bob on nonsense\n").expect("a file");
    assert_eq!(
        admin.line("ACL LOAD"),
        "(error) ERR users.acl:1: Syntax error. WARNING: ACL errors detected, no change to the previously active ACL \
         rules was performed"
    );
    assert_eq!(eve.line("GET e"), "(nil)");
    // A good one replaces all users; who was one of them has to log in again.
    std::fs::write(&file, text.replace("user ann", "user tim")).expect("a file");
    assert_eq!(admin.line("ACL LOAD"), "OK");
    assert!(is_closed(&mut bob) && is_closed(&mut eve));
    assert_eq!(admin.line("ACL USERS"), "1) \"bob\"\n2) \"default\"\n3) \"eve\"\n4) \"tim\"");
    std::fs::remove_file(&file).expect("a file");
    assert_eq!(
        admin.line("ACL LOAD"),
        "(error) ERR Error loading ACLs, opening file 'users.acl': No such file or directory"
    );
    drop(server);
    // Without its file, or with a broken one, the server does not start.
    let (code, _, errors) = launch.ends();
    assert!(code == Some(1) && errors.contains("Aborting Redis startup because of ACL errors"), "{errors}");
    std::fs::write(&file, "user bob on >secret nonsense\n").expect("a file");
    let (code, log, errors) = launch.ends();
    assert!(code == Some(1) && errors.contains("users.acl:1: Syntax error"), "{errors}");
    assert!(!errors.contains("secret") && !log.contains("secret"), "{errors}");
}

#[test]
fn users_stand_in_the_file_of_settings() {
    let launch = Launch::new()
        .settings("user bob on >secret +get (~\"q\\\"r\" +set)\nuser default on >secret ~* &* +@all\n");
    let server = launch.start();
    let mut client = server.client();
    assert_eq!(client.line("GET a"), "(error) NOAUTH Authentication required.");
    assert_eq!(client.line("AUTH secret"), "OK");
    assert_eq!(client.line("ACL SETUSER ann on nopass"), "OK");
    assert_eq!(client.line("ACL DELUSER bob"), "(integer) 1");
    assert!(client.call(&["ACL", "SETUSER", "tim", "(~\"a\\\"b\"", "+get)"]) == common::ok());
    assert_eq!(client.line("CONFIG REWRITE"), "OK");
    let listed = client.line("ACL LIST");
    let text = std::fs::read_to_string(server.file("glasswing.conf")).expect("a file");
    assert!(text.contains("user ann on nopass resetchannels -@all\n"), "{text}");
    assert!(
        text.contains(&format!("user default on sanitize-payload #{HASH_OF_SECRET} ~* &* +@all\n")),
        "{text}"
    );
    assert!(!text.contains("user bob") && !text.contains(">secret"), "{text}");
    drop((client, server));
    let again = Launch::new().settings(&text).start();
    let mut client = again.client();
    assert_eq!(client.line("AUTH secret"), "OK");
    assert_eq!(client.line("ACL LIST"), listed);

    for (settings, words) in [
        (
            "user bob on\nuser bob off\n",
            "Duplicate user found. A user can only be defined once in config files",
        ),
        ("user bob nonsense >secret\n", "Error in user declaration 'nonsense': Syntax error"),
        ("user bob (+get >secret\n", "Error in user declaration '(+get': Unmatched parenthesis"),
        (
            "user bob +nosuch >secret\n",
            "Error loading ACL rule '+nosuch' for the user named 'bob': Unknown command",
        ),
        (
            "user bob on\naclfile users.acl\n",
            "Configuring Redis with users defined in redis.conf and at the same",
        ),
    ] {
        let (code, log, errors) = Launch::new().settings(settings).ends();
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains(words), "{settings}: {errors}");
        // Each file's last line is the one that is wrong.
        let place = format!(", line {}.\n", settings.lines().count());
        assert!(errors.contains("File: ") && errors.contains(&place), "{settings}: {errors}");
        assert!(!errors.contains("secret") && !log.contains("secret"), "{errors}\n{log}");
    }
}

#[test]
fn passwords_are_told_to_nobody() {
    let mut server = Launch::new().with(&["--loglevel", "debug"]).admin().start();
    let mut client = server.client();
    for line in [
        "ACL SETUSER bob on >hunter2 +@all ~* &*",
        "ACL SETUSER bob <hunter2x",
        "AUTH bob hunter2",
        "AUTH bob hunter2x",
        "HELLO 3 AUTH bob hunter2",
        "CONFIG SET requirepass hunter2",
        "ACL SETUSER bob hunter2>",
    ] {
        client.line(line);
    }
    let mut shown = Vec::new();
    for line in ["CLIENT LIST", "ACL LOG", "ACL LIST", "ACL GETUSER bob", "INFO everything"] {
        shown.push(client.line(line));
    }
    for path in ["/metrics", "/config", "/info"] {
        shown.push(server.http("GET", path).1);
    }
    drop(client);
    server.signal(nix::sys::signal::Signal::SIGTERM);
    shown.push(server.ended().1.join("\n"));
    shown.push(server.errors());
    for text in shown {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_default_user_without_a_password_opens_the_door_and_with_one_closes_it() {
    let server = Server::start(&[]);
    let (mut admin, mut early) = (server.client(), server.client());
    assert_eq!(early.line("PING"), "PONG");
    assert_eq!(admin.line("ACL SETUSER default off"), "OK");
    // Who is there stays; who comes has to say who they are.
    assert_eq!(early.line("PING"), "PONG");
    let mut late = server.client();
    assert_eq!(late.line("PING"), "(error) NOAUTH Authentication required.");
    assert_eq!(admin.line("ACL SETUSER default on"), "OK");
    assert_eq!(late.line("PING"), "PONG");
    assert_eq!(admin.line("ACL SETUSER default -ping"), "OK");
    assert_eq!(late.line("PING"), "(error) NOPERM this user has no permissions to run the 'ping' command");
    assert_eq!(admin.line("CLIENT KILL USER default SKIPME yes"), "(integer) 2");
    assert!(is_closed(&mut early) && is_closed(&mut late));
}

#[test]
fn sort_follows_patterns_only_for_who_may_read_everything() {
    let server = Server::start(&[]);
    let mut admin = server.client();
    admin.line("RPUSH list 2 1");
    admin.line("ACL SETUSER some on >secret +@all ~list");
    admin.line("ACL SETUSER all on >secret +@all %R~*");
    let (mut some, mut all) = (logged_in(&server, "some"), logged_in(&server, "all"));
    assert_eq!(some.line("SORT list"), "1) \"1\"\n2) \"2\"");
    assert_eq!(some.line("SORT list BY constant"), "1) \"2\"\n2) \"1\"");
    assert_eq!(
        some.line("SORT list BY w_*"),
        "(error) ERR BY option of SORT denied due to insufficient ACL permissions."
    );
    assert_eq!(
        some.line("SORT list GET #"),
        "(error) ERR GET option of SORT denied due to insufficient ACL permissions."
    );
    assert_eq!(all.line("SORT list BY w_* GET v_*"), "1) (nil)\n2) (nil)");
    assert!(all.line("SORT list STORE x").starts_with("(error) NOPERM"));
}

#[test]
fn functions_have_the_rights_of_who_calls_them() {
    let server = Server::start(&[]);
    let mut admin = server.client();
    let code = "#!lua name=lib\nredis.register_function('get', function(keys, args) return redis.call('GET', args[1]) end)";
    assert!(admin.call(&["FUNCTION", "LOAD", code]).is_some());
    admin.line("SET secret-key x");
    admin.line("SET b x");
    admin.line("ACL SETUSER bob on >secret +fcall +get ~b");
    let mut bob = logged_in(&server, "bob");
    assert_eq!(bob.line("FCALL get 0 b"), "\"x\"");
    assert!(bob.line("FCALL get 0 secret-key").contains("can't access at least one of the keys"));
    assert_eq!(admin.line("FCALL get 0 secret-key"), "\"x\"");
    assert!(admin.line("ACL LOG").contains("\"lua\""));
}

#[test]
fn what_a_script_may_not_do_is_logged_once_though_the_script_runs_twice() {
    let server = Server::start(&["--workers", "2"]);
    let mut admin = server.client();
    assert_eq!(admin.line("ACL SETUSER bob on >secret +eval +get ~b*"), "OK");
    let mut bob = logged_in(&server, "bob");
    // First under the lock of b1. The keys that are not declared need the whole keyspace.
    let script = "redis.pcall('set', KEYS[1], 'x') for i = 1, 20 do redis.call('get', 'b' .. i) end return 1";
    bob.send(&["EVAL", script, "1", "b1"]);
    assert_eq!(bob.reply(), Some(glasswing::resp::Value::Int(1)));
    let log = admin.line("ACL LOG");
    assert!(log.contains("1) \"count\"\n    2) (integer) 1\n"), "{log}");
    assert!(!log.contains("2) 1) \"count\""), "{log}");
}
