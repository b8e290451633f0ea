"""The ten troubles: what each does to a server, and what must be seen of it."""
import hashlib
import os
import resource
import signal
import socket
import subprocess
import threading
import time

from asking import Client, Failed, check

OVERVIEW, MEMORY, PERSISTENCE = "glasswing-overview.json", "glasswing-memory.json", "glasswing-persistence.json"
COMMANDS = "glasswing-commands.json"


class Trouble:
    """One row of the drill. While it lasts all of `alerts` must fire, the lines of `panels` move, and exactly the checks
    of `fails` fail; `names` gives the words in which the console or the slow log name the culprit."""

    name = None
    what = None
    options = ()
    alerts = ()
    # (dashboard, panel, legend), and whether the line rises or falls.
    panels = ()
    fails = ()
    # Words that /readyz?verbose must have beside the names of the checks.
    reason = ()
    # Whether /livez stays well: it fails for what a restart mends.
    lives = True
    # Troubles of one wave are played at the same time.
    wave = 1

    def __init__(self, scene):
        self.scene = scene
        self.stopping = threading.Event()
        self.threads = []
        self.processes = []

    def prepare(self, processes):
        """Starts the server."""
        self.scene.start(processes, self.options)

    def begin(self):
        """Makes the trouble; it goes on until `end`."""

    def names(self):
        """How the culprit is named; None while it is not."""

    def end(self):
        """Makes it stop: afterwards the server is ready again."""
        self.stop_load()

    # ---- load that goes on

    def meanwhile(self, work, *args):
        thread = threading.Thread(target=self.endlessly, args=(work, *args), daemon=True)
        thread.start()
        self.threads.append(thread)

    def endlessly(self, work, *args):
        while not self.stopping.is_set():
            try:
                work(*args)
            except (OSError, Failed):
                # A connection that is cut off or turned away is no failure of the drill.
                self.stopping.wait(0.2)

    def load(self, *words):
        self.processes.append(subprocess.Popen(
            ["redis-benchmark", "-p", str(self.scene.port), "-q", "-l", *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def stop_load(self):
        self.stopping.set()
        for process in self.processes:
            process.terminate()
            process.wait(20)
        for thread in self.threads:
            thread.join(20)


class HotKey(Trouble):
    name = "a hot key"
    what = "twenty clients search the same list of 2,000 elements (LPOS) with four workers"
    options = ("--workers", 4, "--slowlog-log-slower-than", 5000)
    alerts = ("LockContention",)
    panels = ((OVERVIEW, "Where workers lose time", "waiting for locks", "rises"),)
    wave = 2

    def begin(self):
        self.scene.client().many([("RPUSH", "hot:list", f"element:{n}") for n in range(2000)])
        self.load("-c", 20, "-P", 4, "lpos", "hot:list", "nobody")

    def names(self):
        keys = self.scene.json("/usage?top=3")["used"]["keys"]
        if keys and keys[0]["name"]["text"] == "hot:list" and keys[0]["share_low"] > 0.5:
            return f"`/usage`: `hot:list`, at least {int(100 * keys[0]['share_low'])}% of all accesses"


class HugeKey(Trouble):
    name = "an O(N) command on a huge key"
    what = "a client asks for all of a set of 300,000 members (SMEMBERS), eight times a second"
    alerts = ("SlowCommands", "LatencyHigh")
    panels = ((OVERVIEW, "Slow commands", "slow commands", "rises"),
              (COMMANDS, "Percentiles", "p99", "rises"))
    wave = 3

    def prepare(self, processes):
        super().prepare(processes)
        client = self.scene.client()
        for begin in range(0, 300_000, 10_000):
            client("SADD", "everybody", *(f"user:{n:06}" for n in range(begin, begin + 10_000)))

    def begin(self):
        reader = self.scene.client("reports")
        # Each reply is as long as the next, and nobody looks into it.
        length = len(b"*300000\r\n") + 300_000 * len(b"$11\r\nuser:000000\r\n")
        def ask():
            reader.socket.sendall(Client.encode(["SMEMBERS", "everybody"]))
            check(len(reader.reader.read(length)) == length, "a reply that is cut off")
            self.stopping.wait(0.1)
        self.meanwhile(ask)

    def names(self):
        slow = [one for words, one in self.scene.slow() if words.lower() == "smembers everybody" and one["client_name"] == "reports"]
        largest = self.scene.json("/usage?top=3")["found"]
        found = largest and largest["largest_by_elements"]
        if slow and found and found[0]["name"]["text"] == "everybody":
            return f"`/slowlog`: `SMEMBERS everybody` of client `reports`, {slow[0]['stages']['run_us'] / 1000:.0f} ms; `/usage`: {found[0]['elements']:,} elements"


class Storm(Trouble):
    name = "a connection storm"
    what = "a pool opens connections without end and closes none; `maxclients` is 100"
    options = ("--maxclients", 100)
    alerts = ("ClientsNearLimit", "ConnectionsRefused", "CheckFails")
    panels = ((OVERVIEW, "New connections", "new connections", "rises"),
              (OVERVIEW, "Errors", "connections turned away", "rises"),
              (OVERVIEW, "Clients of their limit", "clients", "rises"))
    fails = ("clients",)
    reason = ("as many as maxclients allows",)

    def begin(self):
        self.open = []
        def connect():
            if len(self.open) < 400:
                one = socket.create_connection(("127.0.0.1", self.scene.port), timeout=5)
                self.open.append(one)
                one.sendall(Client.encode(["CLIENT", "SETNAME", "leaking-pool"]))
            self.stopping.wait(0.02)
        self.meanwhile(connect)

    def names(self):
        mine = self.scene.json("/clients?holding=leaking-pool&count=1")
        if mine["matching"] > 80:
            return f"`/clients?holding=`: {mine['matching']} of {mine['connected']} are called `leaking-pool`"

    def end(self):
        super().end()
        for one in self.open:
            one.close()


class Unread(Trouble):
    name = "a client that does not read"
    what = "a subscriber takes nothing of 4 MB a second; what may wait is bounded"
    options = ("--client-output-buffer-limit", "pubsub 64mb 4mb 5")
    alerts = ("ClientsCutOff",)
    panels = ((MEMORY, "What is around the data", "clients", "rises"),
              (OVERVIEW, "Connections closed by a limit", "{{reason}}", "rises", {"reason": "output_buffer"}))

    def begin(self):
        self.seen = None
        self.subscribe()
        publisher = self.scene.client("prices")
        message = "x" * 40_000
        def publish():
            publisher.many([("PUBLISH", "prices", message)] * 10)
            self.stopping.wait(0.1)
        self.meanwhile(publish)

    def subscribe(self):
        self.deaf = socket.socket()
        # What the two kernels hold for it is seen by nobody: little, and less than the server's limit.
        self.deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.deaf.connect(("127.0.0.1", self.scene.port))
        self.address = ":".join(map(str, self.deaf.getsockname()))
        for words in (["CLIENT", "SETNAME", "screen-in-the-hall"], ["SUBSCRIBE", "prices"]):
            self.deaf.sendall(Client.encode(words))

    def names(self):
        first = self.scene.json("/clients?order=memory&count=1")["clients"][0]
        if first["name"]["text"] == "screen-in-the-hall" and first["waiting"] > 1_000_000:
            self.seen = f"`/clients?order=memory`: `screen-in-the-hall` first, {first['waiting'] / 1e6:.0f} MB waiting"
        # The log says whose connection it was, once it is closed.
        if self.seen and f"address={self.address}" in self.scene.log():
            return self.seen + "; the log: its address, when it was closed"

    def end(self):
        super().end()
        self.deaf.close()


class FullDisk(Trouble):
    name = "a full disk"
    what = "somebody's file fills the disk, then a save is due"
    options = ("--save", "3600 1")
    alerts = ("SaveFailed", "WritesRefused", "CheckFails")
    panels = ((PERSISTENCE, "Failures", "failed saves", "rises"),
              (PERSISTENCE, "Failures", "refused writes", "rises"),
              (PERSISTENCE, "Last save", "save", "falls"))
    fails = ("persistence",)

    def prepare(self, processes):
        folder = self.scene.folder
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False)
        self.mounted = mounted.returncode == 0
        if self.mounted:
            self.what += " (a tmpfs of 4 MB)"
            self.reason = ("No space left on device",)
            self.scene.start(processes, self.options)
        else:
            # What the process may write to one file, in place of a disk: a write past it fails as one to a full disk does.
            self.what = "no file may grow past 1 MB (RLIMIT_FSIZE, since nothing may be mounted here), then a save is due"
            self.reason = ("File too large",)
            def limit():
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
            self.scene.start(processes, self.options, preexec_fn=limit, restore_signals=False)
        client = self.scene.client()
        check(client("SET", "k", "v") == b"+OK" and client("SAVE") == b"+OK", "a save while there is room")
        # Random bytes: no snapshot of these is small.
        client.many([("SET", f"picture:{n}", os.urandom(100_000)) for n in range(20)])

    def begin(self):
        if self.mounted:
            with open(self.scene.folder / "somebody's", "wb", buffering=0) as file:
                try:
                    while file.write(bytes(65_536)):
                        pass
                except OSError:
                    pass
        client = self.scene.client("shop")
        client("BGSAVE")
        def write():
            client("SET", "order", "1")
            self.stopping.wait(0.1)
        self.meanwhile(write)

    def names(self):
        save = self.scene.json("/save")["last"]
        if save and not save["ok"] and self.reason[0] in save["error"]:
            return f"`/save`: {save['error']}"

    def end(self):
        super().end()
        client = self.scene.client()
        if self.mounted:
            (self.scene.folder / "somebody's").unlink()
        else:
            client("FLUSHALL")
        check(client("SAVE") == b"+OK", "a save once there is room again")

    def clean(self):
        if self.mounted:
            subprocess.run(["umount", self.scene.folder], check=False)


SLOW_SYNC = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
/* While the file is there, a disk that takes its time. */
int fdatasync(int fd) {
    const char *file = getenv("SLOW_SYNC");
    for (int tenths = 0; tenths < 60 && file && access(file, F_OK) == 0; tenths++) usleep(100000);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
"""


class SlowSync(Trouble):
    name = "a slow sync"
    what = "each `fdatasync` of the append-only file takes 6 s (a library put before libc's)"
    options = ("--appendonly", "yes", "--appendfsync", "everysec", "--latency-monitor-threshold", 100)
    alerts = ("SyncsLate",)
    panels = ((PERSISTENCE, "Late syncs", "late", "rises"),
              (PERSISTENCE, "Syncs and rewrites under way", "sync", "rises"))

    def prepare(self, processes):
        # Beside the server's folder, in which nothing but its own files lies.
        self.switch = self.scene.folder.with_suffix(".slow")
        library = self.scene.folder.with_suffix(".so")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, "-x", "c", "-", "-ldl"], input=SLOW_SYNC, text=True, check=True, timeout=60)
        self.scene.start(processes, self.options, env={"LD_PRELOAD": str(library), "SLOW_SYNC": str(self.switch)})
        client = self.scene.client("shop")
        def write():
            client("INCR", "orders")
            self.stopping.wait(0.05)
        self.meanwhile(write)

    def begin(self):
        self.switch.touch()

    def names(self):
        if "Asynchronous AOF fsync is taking too long" in self.scene.log():
            return "the log: `Asynchronous AOF fsync is taking too long (disk is busy?)`"

    def end(self):
        self.switch.unlink()
        super().end()


class NearlyFull(Trouble):
    name = "memory near its limit"
    what = "sessions without a time to live fill `maxmemory` (noeviction), slowly past nine tenths, then to the end"
    options = ("--maxmemory", "40mb")
    alerts = ("MemoryNearlyFull", "WritesRefused", "CheckFails")
    panels = ((OVERVIEW, "Memory of its limit", "memory", "rises"),
              (OVERVIEW, "Refusals", "{{reason}}", "rises", {"reason": "out_of_memory"}))
    fails = ("memory",)
    reason = ("writes are refused",)

    def begin(self):
        client = self.scene.client("shop")
        self.number, self.failing_with_room = 0, None
        limit = int(client("CONFIG", "GET", "maxmemory")[1])
        def fill():
            used = int(client("INFO", "memory").decode().split("used_memory:")[1].split("\r")[0])
            step = 200 if used < 0.9 * limit else 20
            if used > 0.93 * limit and self.failing_with_room is None:
                # There it stays until the rule has waited for as long as it does.
                if "MemoryNearlyFull" in self.scene.alerts():
                    self.failing_with_room = self.scene.ready()[0]
                step = 0
            client.many([("SET", f"session:{self.number + n}", "x" * 1000) for n in range(step)])
            self.number += step
            self.stopping.wait(0.05)
        self.meanwhile(fill)

    def names(self):
        check(not self.failing_with_room, f"with room left {self.failing_with_room} fail")
        found = self.scene.json("/usage?top=3")["found"]
        prefixes = found and found["prefixes"]
        if prefixes and prefixes[0]["prefix"]["text"].startswith("session") and prefixes[0]["bytes_low"] > 20_000_000:
            return f"`/usage`: prefix `session:`, {prefixes[0]['keys']:,} keys of {prefixes[0]['bytes_low'] / 1e6:.0f} MB"

    def end(self):
        super().end()
        check(self.scene.client()("FLUSHALL") == b"+OK", "FLUSHALL")


class BesideAShop(Trouble):
    """Somebody else asks for something all the time."""

    def prepare(self, processes):
        super().prepare(processes)
        client = self.scene.client("shop")
        def ask():
            client.many([("GET", "k")] * 10)
            self.stopping.wait(0.05)
        self.meanwhile(ask)


class Hangs(BesideAShop):
    name = "a worker that hangs"
    what = "`DEBUG SLEEP 24`: the worker sleeps with the whole keyspace in hand"
    alerts = ("WorkerHangs", "CheckFails")
    panels = ((OVERVIEW, "Health checks", "{{check}}", "falls", {"check": "workers"}),
              (OVERVIEW, "Commands", "commands", "falls"))
    fails = ("workers",)
    reason = ("in the middle of debug of client",)
    lives = False

    def begin(self):
        self.sleeper = self.scene.client("night-job")
        self.sleeper.socket.sendall(Client.encode(["DEBUG", "SLEEP", "24"]))

    def names(self):
        rows = self.scene.json("/clients?holding=debug")["clients"]
        if rows and rows[0]["name"]["text"] == "night-job":
            return "`/readyz?verbose`: the worker, `debug` and the client's number; `/clients?holding=debug`: `night-job`; afterwards `/slowlog`, with its arguments"

    def end(self):
        check(self.sleeper.reply() == b"+OK", "DEBUG SLEEP ends")
        slow = [one for words, one in self.scene.slow() if words.lower() == "debug sleep 24"]
        check(slow and slow[0]["client_name"] == "night-job", f"the slow log does not name it: {self.scene.slow()}")
        super().end()


class Loops(BesideAShop):
    name = "a script that loops"
    what = "`EVAL \"while true do end\"`; `busy-reply-threshold` is 1 s"
    options = ("--busy-reply-threshold", 1000)
    alerts = ("ScriptRunsTooLong", "CheckFails")
    panels = ((OVERVIEW, "Refusals", "{{reason}}", "rises", {"reason": "busy"}),
              (OVERVIEW, "Health checks", "{{check}}", "falls", {"check": "scripts"}))
    fails = ("scripts",)
    reason = (f"the script {hashlib.sha1(b'while true do end').hexdigest()} has been running",)

    def begin(self):
        self.caller = self.scene.client("price-rules")
        self.caller.socket.sendall(Client.encode(["EVAL", "while true do end", "0"]))

    def names(self):
        rows = self.scene.json("/clients?holding=eval")["clients"]
        if rows and rows[0]["name"]["text"] == "price-rules":
            return "`/readyz?verbose`: the script's SHA-1; `/clients?holding=eval`: `price-rules`; afterwards `/slowlog`, with its text"

    def end(self):
        check(self.scene.client()("SCRIPT", "KILL") == b"+OK", "SCRIPT KILL")
        check(b"Script killed by user" in self.caller.reply(), "the script ends")
        slow = [one for words, one in self.scene.slow() if words == "EVAL while true do end 0"]
        check(slow and slow[0]["client_name"] == "price-rules", f"the slow log does not name it: {self.scene.slow()}")
        super().end()


class Expiries(Trouble):
    name = "a burst of expiries"
    what = "400,000 keys that were given the same moment expire"
    alerts = ("ExpiryBurst",)
    panels = ((MEMORY, "Expired and evicted", "expired", "rises"),
              (MEMORY, "Work of expiry", "time", "rises"))
    wave = 4

    def prepare(self, processes):
        super().prepare(processes)
        self.seen = None

    def begin(self):
        self.at = int(time.time() * 1000) + 15_000
        self.processes.append(subprocess.Popen(
            ["redis-benchmark", "-p", str(self.scene.port), "-q", "-n", "400000", "-c", "8", "-P", "50", "-r", "100000000",
             "set", "cart:__rand_int__", "v", "pxat", str(self.at)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def names(self):
        found = self.scene.json("/usage?top=3")["found"]
        prefixes = found and found["prefixes"]
        if prefixes and prefixes[0]["prefix"]["text"].startswith("cart") and prefixes[0]["keys"] > 100_000:
            self.seen = f"`/usage`: prefix `cart:`, {prefixes[0]['keys']:,} keys"
        return self.seen


ALL = (HotKey, HugeKey, Storm, Unread, FullDisk, SlowSync, NearlyFull, Hangs, Loops, Expiries)
