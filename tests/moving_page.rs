//! The commands of `docs/moving-from-redis.md` do what the page says: each block is run as it stands, by a shell, with
//! a real redis-server beside our program.
//!
//! Only what belongs to the machine is put in other places: `/etc/redis` and `/var/lib/redis` lie in a temporary
//! folder, and the ports are free ones.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::free_port;

const PAGE: &str = include_str!("../docs/moving-from-redis.md");

/// What a section's commands find when they begin.
struct Stage {
    /// The section, by its heading.
    section: &'static str,
    /// Lines of `redis.conf`, and whether it names a file.
    conf: &'static str,
    /// What is started before, and filled.
    server: &'static str,
    /// Sections whose commands come first.
    first: &'static [&'static str],
    /// What must be so afterwards.
    then: &'static str,
}

const IS_FULL: &str = "[ \"$(redis-cli HGET hash field)\" = value ]\n[ \"$(redis-cli -n 3 GET other)\" = there ]\n\
                       [ \"$(redis-cli FCALL f 0)\" = 7 ]\n";
const IS_OURS: &str = "redis-cli INFO server | grep -q glasswing_version\n";
const IS_REDIS: &str = "until redis-cli PING | grep -q PONG; do sleep 0.05; done\n\
                        [ \"$(redis-cli INFO server | grep -c glasswing_version)\" = 0 ]\n";

const STAGES: &[Stage] = &[
    Stage {
        section: "From dump.rdb",
        conf: "dbfilename dump.rdb",
        server: "redis-server",
        first: &["Before"],
        then: IS_OURS,
    },
    Stage {
        section: "From an append-only file",
        conf: "appendonly yes",
        server: "redis-server",
        first: &["Before"],
        then: IS_OURS,
    },
    Stage {
        section: "Redis on the same files",
        conf: "dbfilename dump.rdb",
        server: "glasswing",
        first: &[],
        then: IS_REDIS,
    },
    Stage {
        section: "Redis on the same files",
        conf: "appendonly yes\ndbfilename dump.rdb",
        server: "glasswing",
        first: &[],
        then: IS_REDIS,
    },
    Stage {
        // A Redis was there before, and its file is in the folder.
        section: "By convert",
        conf: "",
        server: "redis-server save; glasswing",
        first: &[],
        then: "until [ \"$(redis-cli HGET hash field)\" = value ]; do sleep 0.05; done\n\
               [ \"$(redis-cli INFO server | grep -c glasswing_version)\" = 0 ]\n\
               redis-cli SHUTDOWN NOSAVE\nredis-server /etc/redis/redis.conf --appendonly yes\n",
    },
    Stage { section: "By a Redis that follows", conf: "", server: "glasswing", first: &[], then: FOLLOWER },
    Stage {
        section: "Between formats",
        conf: "appendonly yes",
        server: "glasswing",
        first: &[],
        // The second server got all by `redis-cli --pipe`.
        then: FOLLOWER,
    },
    Stage {
        section: "Back to a moment",
        conf: "appendonly yes",
        server: "glasswing",
        first: &[],
        then: "redis-cli INFO server | grep -q glasswing_version\n\
               ls -d /var/lib/redis/appendonlydir.before-restore-*\n",
    },
];

/// The server on the second port is a Redis of its own now, and is looked at in place of the first.
const FOLLOWER: &str = "redis-cli -p 6380 INFO replication | grep -q role:master\nFIRST=6380\n";

/// The blocks of each section, in order.
fn sections() -> BTreeMap<String, String> {
    let (mut sections, mut section, mut inside) = (BTreeMap::<String, String>::new(), String::new(), false);
    for line in PAGE.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => *sections.entry(section.clone()).or_default() += &format!("{line}\n"),
            _ if line.starts_with('#') => section = line.trim_start_matches('#').trim().to_owned(),
            _ => {}
        }
    }
    assert!(!inside, "a block has no end");
    sections
}

/// A folder with the places of the page in it, whose servers end with it.
struct Place {
    folder: tempfile::TempDir,
    ports: [u16; 2],
}

impl Place {
    fn new(conf: &str) -> Place {
        let place =
            Place { folder: tempfile::tempdir().expect("a folder"), ports: [free_port(), free_port()] };
        for name in ["bin", "etc", "lib", "here"] {
            fs::create_dir(place.at(name)).expect("a folder");
        }
        let text = format!(
            "port {}\nbind 127.0.0.1\ndir {}\ndaemonize yes\npidfile {}\nlogfile {}\nsave \"\"\n\
             enable-debug-command local\n{conf}\n",
            place.ports[0],
            place.at("lib").display(),
            place.at("pid").display(),
            place.at("log").display(),
        );
        fs::write(place.at("etc/redis.conf"), text).expect("the settings");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_glasswing"), place.at("bin/glasswing"))
            .expect("a link");
        if let Some(server) = std::env::var_os("GLASSWING_REDIS_SERVER") {
            let server = fs::canonicalize(server).expect("GLASSWING_REDIS_SERVER names a program");
            std::os::unix::fs::symlink(server, place.at("bin/redis-server")).expect("a link");
        }
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A shell's commands with the page's places put into this folder.
    fn moved(&self, commands: &str) -> String {
        let at = |name: &str| self.at(name).to_str().expect("text").to_owned();
        commands
            .replace("/etc/redis", &at("etc"))
            .replace("/var/lib/redis", &at("lib"))
            .replace("6380", &self.ports[1].to_string())
            .replace("6379", &self.ports[0].to_string())
    }

    /// Runs commands as a person would type them, who stops at the first that fails.
    fn run(&self, commands: &str) -> (bool, String) {
        // The client's own default port is not in the page's text.
        let client = "FIRST=6379\nredis-cli() { command redis-cli -p $FIRST \"$@\"; }\n";
        let script = self.moved(&format!("set -eux -o pipefail\n{client}{commands}"));
        let path = format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap_or_default());
        let output = Command::new("timeout")
            .args(["120", "bash", "-c", &script])
            .current_dir(self.at("here"))
            .env("PATH", path)
            // Whoever listens on the default port, it is not this server.
            .env("GLASSWING_ADMIN_PORT", "0")
            .output()
            .expect("a shell");
        let said = [output.stdout, output.stderr].concat();
        let log = fs::read_to_string(self.at("log")).unwrap_or_default();
        (output.status.success(), format!("{}\n{log}", String::from_utf8_lossy(&said)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whichever of them still runs.
        let _ = self.run(
            "for port in 6379 6380; do command redis-cli -p $port CLIENT UNPAUSE || true; \
             command redis-cli -p $port SHUTDOWN NOSAVE || true; done",
        );
    }
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

const READY: &str = "until redis-cli PING | grep -q PONG; do sleep 0.05; done\n";

/// The commands that set a stage.
fn prepare(stage: &Stage) -> String {
    let fill = "redis-cli HSET hash field value\nredis-cli -n 3 SET other there EX 100000\nredis-cli RPUSH list a b c\n\
                redis-cli FUNCTION LOAD \"#!lua name=lib\nredis.register_function('f', function() return 7 end)\"\n";
    let (begin, server) = match stage.server.split_once(" save; ") {
        // What it holds is not what is there later.
        Some((first, server)) => (
            format!(
                "{first} /etc/redis/redis.conf\n{READY}redis-cli SET old 1\nredis-cli SAVE\nredis-cli SHUTDOWN NOSAVE\n"
            ),
            format!("{server} /etc/redis/redis.conf --dbfilename glasswing.snapshot"),
        ),
        None => (String::new(), format!("{} /etc/redis/redis.conf", stage.server)),
    };
    let second = match stage.section {
        "Between formats" => {
            "mkdir /var/lib/redis-second\nredis-server --port 6380 --dir /var/lib/redis-second --daemonize yes --save ''\n\
             until redis-cli -p 6380 PING | grep -q PONG; do sleep 0.05; done\n"
        }
        _ => "",
    };
    format!("{begin}{server}\n{READY}{fill}{second}")
}

#[test]
fn every_command_of_the_page_does_what_it_says() {
    let redis = std::env::var("GLASSWING_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    if !is_there(&redis) || !is_there("redis-cli") {
        eprintln!("skipped: redis-server and redis-cli are not both there");
        return;
    }
    let sections = sections();
    for stage in STAGES {
        let place = Place::new(stage.conf);
        let (done, said) = place.run(&prepare(stage));
        assert!(done, "the stage of '{}': {said}", stage.section);
        let blocks = stage.first.iter().chain([&stage.section]).map(|section| match sections.get(*section) {
            Some(commands) => commands.as_str(),
            None => panic!("the page has no commands under '{section}'"),
        });
        let commands: String = blocks.collect();
        let (done, said) = place.run(&commands);
        assert!(done, "'{}': {said}", stage.section);
        let (done, said) = place.run(&format!("{}{READY}{IS_FULL}", stage.then));
        assert!(done, "after '{}': {said}", stage.section);
    }
}

#[test]
fn no_command_of_the_page_is_left_out() {
    let run: Vec<&str> =
        STAGES.iter().flat_map(|stage| stage.first.iter().chain([&stage.section])).copied().collect();
    for section in sections().keys() {
        assert!(run.contains(&section.as_str()), "nothing runs what stands under '{section}'");
    }
}

#[test]
fn the_page_is_linked_to_and_its_own_links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (page, link) in
        [("README.md", "docs/moving-from-redis.md"), ("docs/README.md", "moving-from-redis.md")]
    {
        let text = fs::read_to_string(root.join(page)).expect("the page");
        assert!(text.contains(&format!("({link})")), "{page} does not lead there");
    }
    let anchors: Vec<String> = PAGE
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().replace('.', "").replace(' ', "-"))
        .collect();
    for (at, _) in PAGE.match_indices("](") {
        let link = PAGE[at + 2..].split(')').next().expect("an end");
        match link.strip_prefix('#') {
            Some(anchor) => assert!(anchors.iter().any(|known| known == anchor), "no heading for #{anchor}"),
            None => assert!(root.join("docs").join(link).exists(), "there is no {link}"),
        }
    }
}
