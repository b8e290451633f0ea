"""Asks a running Prometheus what the dashboards ask, and what public dashboards ask.

Used by tests/prometheus/run, which starts plain processes, and by tests/compose, which starts containers.
"""
import json
import math
import re
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
COMPARING = "glasswing-beside-redis.json"
ASKED_FOR = Path(__file__).resolve().parent / "asked-for.txt"

# Families that a server in good health leaves as they are: a query of these alone need not move. All else has to.
STILL = {
    "up": "it answers all the time",
    "process_max_fds": "a limit",
    "redis_memory_max_bytes": "a limit",
    "redis_config_maxclients": "a limit",
    "redis_total_system_memory_bytes": "a fact of the machine",
    "glasswing_health_check_ok": "every check is well",
    "redis_rdb_last_bgsave_status": "saves succeed",
    "redis_aof_last_write_status": "writes succeed",
    "redis_aof_last_bgrewrite_status": "rewrites succeed",
    "redis_aof_delayed_fsync": "the disk keeps up",
    "redis_aof_pending_bio_fsync": "a sync is over before anybody looks",
    "redis_aof_buffer_length": "what waits is written before anybody looks",
    "glasswing_save_retained_bytes": "a running save takes at once what is held back for it",
    "redis_connected_slaves": "replicas stay",
    "redis_connected_slave_lag_seconds": "replicas keep up",
    "redis_replica_resyncs_full": "replicas that are there already",
    "redis_replica_partial_resync_accepted": "replicas that are there already",
    "redis_replica_partial_resync_denied": "replicas that are there already",
    "redis_rejected_connections_total": "maxclients is not reached",
    "redis_lazyfree_pending_objects": "freed before anybody looks",
    "redis_expired_time_cap_reached_total": "expiry keeps up",
    "redis_expired_stale_percentage": "expiry keeps up",
    "glasswing_panics_total": "nothing panics",
    "glasswing_spans_dropped_total": "no traces are sent",
    "glasswing_spans_recorded_total": "no traces are sent",
    "glasswing_log_lines_suppressed_total": "few lines are provoked",
    "glasswing_disconnections_total": "clients read what they are sent",
    "glasswing_saves_total{failed}": "saves succeed",
    "glasswing_refusals_total{misconfigured}": "saves succeed",
    "glasswing_lock_waits_total": "few waits on few cores",
    "glasswing_lock_wait_seconds_total": "few waits on few cores",
    "redis_loading_dump_file": "loaded at the start only",
}

# Each is wrong in its own way, and a check that lets one pass is no check.
PLANTED = {
    "a misspelt metric": 'sum(rate(redis_comands_processed_total{job="glasswing"}[$__rate_interval]))',
    "a label that is not there": 'redis_memory_used_bytes{job="glasswing",shard="1"}',
    "a grouping that joins nothing": 'sum by (cmd) (rate(redis_commands_total[$__rate_interval])) / sum by (db) (redis_db_keys)',
    "a division by nothing": 'redis_memory_used_bytes{job="glasswing"} / (redis_memory_used_bytes{job="glasswing"} * 0)',
    "a constant": "vector(1)",
    "what ended long ago": 'rate(redis_commands_processed_total{job="glasswing"}[$__rate_interval] offset 1d)',
    "no query at all": 'sum(rate(redis_commands_processed_total{job="glasswing"}[$__rate_interval])',
}


class Failed(Exception):
    """What did not hold, in words."""


def check(holds, words):
    if not holds:
        raise Failed(words)


def prometheus(url, path, **parameters):
    query = urllib.parse.urlencode(parameters)
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{query}", timeout=20) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        raise Failed(f"Prometheus refuses {parameters}: {error.read().decode()[:500]}") from None


# ---------------------------------------------------------------- our dashboards

def dashboards():
    for path in sorted((ROOT / "grafana/dashboards").glob("*.json")):
        yield path.name, json.loads(path.read_text())


def in_words(expr, variables, window):
    """A query as Grafana sends it: its variables and intervals filled in."""
    expr = expr.replace("$__rate_interval", window).replace("$__range", "1m")
    for name, value in variables.items():
        expr = re.sub(rf"\${name}\b", lambda _, value=value: value, expr)
    return expr


def values_of_variables(url, board, start, end):
    """Each variable's value, asked as Grafana asks: the first of label_values(series, label), or of a query's results."""
    values = {}
    for variable in board["templating"]["list"]:
        definition = in_words(variable["definition"], values, "20s")
        if asked := re.fullmatch(r"query_result\((.*)\)", definition):
            results = prometheus(url, "query", query=asked[1], time=end)["result"]
            texts = ["{" + ",".join(f'{k}="{v}"' for k, v in one["metric"].items()) + "}" for one in results]
            found = [hit[1] for text in texts if (hit := re.search(variable["regex"].strip("/"), text))]
        else:
            series, label = re.fullmatch(r"label_values\((.*),\s*(\w+)\)", definition).groups()
            found = sorted(prometheus(url, f"label/{label}/values", **{"match[]": series}, start=start, end=end))
        check(found, f"variable {variable['name']} of {board['title']} has no value: {definition}")
        chosen = variable.get("allValue") or "|".join(map(re.escape, found)) if variable["includeAll"] else found[0]
        # In a PromQL string a backslash stands twice, as Grafana writes it.
        values[variable["name"]] = chosen.replace("\\", "\\\\")
    return values


def ask_every_query(url, start, end, boards=None, leave_out=(), window="20s", step=5, moving=True):
    """Each query of each panel and of each annotation; how many. `leave_out` names families that only other runs have;
    where the load is not made for it, what it asks for need not move."""
    problems, asked, annotations = [], 0, 0
    for name, board in dashboards():
        if boards and name not in boards:
            continue
        variables = values_of_variables(url, board, start, end)
        both = name == COMPARING
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                expr = in_words(target["expr"], variables, window)
                if any(family in expr for family in leave_out):
                    continue
                asked += 1
                problems += [f"{board['title']} / {panel['title']}: {p}: {expr}" for p in faults(url, expr, start, end, step, both, moving)]
        for annotation in board["annotations"]["list"]:
            # Whether it marks anything depends on what happened; that Prometheus understands it does not.
            prometheus(url, "query_range", query=in_words(annotation["expr"], variables, window), start=start, end=end, step=step)
            annotations += 1
    check(not problems, f"{len(problems)} of {asked} dashboard queries do not hold:\n  " + "\n  ".join(problems))
    return asked, annotations


def ask_what_is_planted(url, start, end, window="20s", step=5):
    """Wrong queries, each of which must be found wrong; how many."""
    for what, expr in PLANTED.items():
        try:
            found = list(faults(url, in_words(expr, {}, window), start, end, step, False))
        except Failed:
            continue
        check(found, f"{what} was planted and not found: {expr}")
    one = in_words('sum by (server) (rate(redis_commands_processed_total{server="redis"}[$__rate_interval]))', {}, window)
    check(list(faults(url, one, start, end, step, True)), "a query that has only one server was planted and not found")
    return len(PLANTED) + 1


def faults(url, expr, start, end, step, both, moving=True):
    """What is wrong with the answer: no data, not finite, or still where something moves; beside Redis, for either server."""
    series = prometheus(url, "query_range", query=expr, start=start, end=end, step=step)["result"]
    groups = {"glasswing": [], "redis": []} if both else {"the server": []}
    for one in series:
        groups.setdefault(one["metric"].get("server", "no label") if both else "the server", []).append(
            [float(value) for _, value in one["values"]])
    for server, curves in groups.items():
        if not curves:
            yield f"no data for {server}"
        elif not all(math.isfinite(value) for curve in curves for value in curve):
            yield f"{server} has a value that is not finite"
        elif moving and all(len(set(curve)) < 2 for curve in curves) and not may_stand_still(expr):
            yield f"{server} does not move"


def may_stand_still(expr):
    named = re.findall(r'\b((?:redis|glasswing|process)_\w+|up)\{([^}]*)\}', expr)
    if not named:
        return False
    for family, selector in named:
        value = re.search(r'(?:result|reason)="(\w+)"', selector)
        if family not in STILL and f"{family}{{{value[1] if value else ''}}}" not in STILL:
            return False
    return True


# ---------------------------------------------------------------- other people's dashboards

def asked_for():
    """Name, labels, and when it is there, of each line of the list."""
    when = ""
    for line in ASKED_FOR.read_text().splitlines():
        words, _, note = line.partition("#")
        if not words.strip():
            # A comment about what follows, as the one about clusters.
            when = note.strip() if note.strip().endswith("only") else when
            continue
        name, *labels = words.split()
        yield name, labels, note.strip() or when


def ask_for_others(url):
    """Asks each metric of the list, grouped by its labels: what is there, and what is missing with its reason."""
    there, missing, problems = [], [], []
    for name, labels, when in asked_for():
        groups = prometheus(url, "query", query=f'count by ({", ".join(["instance", "job", *labels])}) ({name}{{job="glasswing"}})')["result"]
        if not groups:
            missing.append((name, when))
            if not when:
                problems.append(f"{name}: not there")
            continue
        there.append(name)
        for group in groups:
            without = [label for label in ("instance", "job", *labels) if not group["metric"].get(label)]
            problems += [f"{name}: a series without the label {label}" for label in without]
    check(len(there) + len(missing) > 20, f"the list has only {len(there) + len(missing)} names")
    check(not problems, "\n  ".join(["public dashboards ask in vain:", *problems]))
    return there, missing


# ---------------------------------------------------------------- what is stored, beside what is stored of redis_exporter

# Families about the exporter and its own work: there is none here.
ITS_OWN = ("redis_exporter_", "redis_target_scrape_", "redis_last_key_groups_scrape_")
# OpenMetrics has no type for a counter whose name does not end in _total, nor for quantiles that are per cent.
PER_CENT = "redis_latency_percentiles_usec"


def types(url, job):
    """The type of each family as Prometheus has understood it."""
    return {one["metric"]: one["type"] for one in prometheus(url, "targets/metadata", match_target=f'{{job="{job}"}}')}


def series(url, job):
    """The sets of labels of each name, without their values."""
    shapes = {}
    for one in prometheus(url, "series", **{"match[]": f'{{job="{job}",__name__=~"redis_.*"}}'}):
        shapes.setdefault(one.pop("__name__"), set()).add(frozenset(one))
    return shapes


def compare_with_the_exporter(url):
    """How many of its families are stored alike of us, and those that have no type of us."""
    theirs, ours = types(url, "redis"), types(url, "glasswing")
    check(ours.get("redis_commands") == "counter" and "redis_commands_total" not in ours, "Prometheus was not given OpenMetrics")
    problems, unknown, same = [], [], 0
    for name, kind in sorted(theirs.items()):
        if not name.startswith("redis_") or name.startswith(ITS_OWN):
            continue
        untyped = kind == "counter" and not name.endswith("_total") or name == PER_CENT
        # To OpenMetrics a counter's family is called without what its samples end in.
        called = name.removesuffix("_total") if kind == "counter" else name
        if ours.get(called) != ("unknown" if untyped else kind):
            problems.append(f"{name} is a {kind} of theirs, and of ours {ours.get(called)}")
        same += not untyped
        if untyped:
            unknown.append(name)
    their_series, our_series = series(url, "redis"), series(url, "glasswing")
    for name, labels in sorted(their_series.items()):
        if not name.startswith(ITS_OWN) and not labels <= our_series.get(name, set()):
            problems.append(f"{name} has the labels {sorted(map(sorted, labels))}, and of ours {sorted(map(sorted, our_series.get(name, set())))}")
    check(same > 100 and len(unknown) == 8, f"{same} families with a type, {unknown} without")
    check(not problems, "\n  ".join(["stored otherwise than redis_exporter's:", *problems]))
    return same, unknown


def ask_for_exemplars(url, start, end, was_sent):
    """How many traced calls there are beside the latency histograms; `was_sent` says whether the server has sent a trace."""
    query = 'glasswing_command_duration_seconds_bucket{job="glasswing"}'
    found = prometheus(url, "query_exemplars", query=query, start=start, end=end)
    count = 0
    for bucket in found:
        labels = bucket["seriesLabels"]
        for one in bucket["exemplars"]:
            count += 1
            ids = one["labels"]
            check(sorted(ids) == ["span_id", "trace_id"] and re.fullmatch("[0-9a-f]{16}", ids["span_id"]) and re.fullmatch("[0-9a-f]{32}", ids["trace_id"]),
                  f"an exemplar with {ids}")
            check(0 < float(one["value"]) <= float(labels["le"]), f"{one} is not in the bucket {labels}")
            wait_for(lambda: was_sent(ids["trace_id"]), 10, f"the trace {ids['trace_id']} was sent")
    check(count > 0, "there is no exemplar")
    return count


# ---------------------------------------------------------------- something of everything

class Client:
    """RESP2 over a socket: enough to send commands and to wait for their replies."""

    def __init__(self, port, database=9):
        self.socket = socket.create_connection(("127.0.0.1", int(port)), timeout=20)
        self.reader = self.socket.makefile("rb")
        self("SELECT", database)

    def __call__(self, *words):
        return self.many([words])[0]

    def many(self, commands):
        self.socket.sendall(b"".join(self.encode(words) for words in commands))
        return [self.reply() for _ in commands]

    @staticmethod
    def encode(words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)

    def reply(self):
        line = self.reader.readline()
        check(line, "the server closed the connection")
        kind, rest = line[:1], line[1:].rstrip()
        if kind == b"$":
            return None if rest == b"-1" else self.reader.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(max(0, int(rest)))]
        return line.rstrip()

    def close(self):
        self.reader.close()
        self.socket.close()


def exercise(port, seconds, scrape):
    """What a load generator leaves out, for so long: saves and rewrites that take a while, misses, errors, expiries,
    evictions, waits, scripts, new connections. Each lasts for some scrapes. Database 9 and the settings are left as they were."""
    client = Client(port)
    kept = {name: client("CONFIG", "GET", name)[1] for name in
            ("rdb-key-save-delay", "appendonly", "maxmemory", "maxmemory-policy", "slowlog-log-slower-than", "save", "auto-aof-rewrite-percentage")}

    def must(*words):
        answer = client(*words)
        check(not (isinstance(answer, bytes) and answer.startswith(b"-")), f"{words}: {answer}")
        return answer

    def info(field):
        return int(re.search(rf"^{field}:(\d+)", client("INFO").decode(), re.M)[1])

    def a_slow_job(start, running):
        """A save or a rewrite that some scrapes see under way, while what it keeps is written. A save in a format of
        ours takes no notice of the delay."""
        must("CONFIG", "SET", "rdb-key-save-delay", max(1, int(4 * scrape * 1e6 / int(client("DBSIZE")[1:]))))
        for words in start:
            must(*words)
        wait_for(lambda: info(running), 10, f"{running} is 1")
        end = time.monotonic() + 60
        while True:
            little_of_everything()
            if not info(running):
                break
            check(time.monotonic() < end, f"{running} does not end")
            time.sleep(scrape / 4)

    turn = 0

    def little_of_everything():
        nonlocal turn
        turn += 1
        work = []
        for n in range(400):
            key = f"exercise:{(turn * 400 + n) % 4000}"
            work += [("SET", key, "x" * 200), ("GET", key), ("GET", f"nobody:{n}"), ("SET", f"short:{turn}:{n}", "x", "PX", 700)]
        work += [("HSET", "exercise:hash", f"f{turn}", turn), ("LPUSH", "exercise:hash", "x"), ("NOSUCHCOMMAND",), ("GET",),
                 ("EVAL", "return redis.call('incr', KEYS[1]) + " + str(turn % 97), "1", "exercise:counter"), ("SWAPDB", 14, 15),
                 ("KEYS", "exercise:1*"), ("SORT", "exercise:none")]
        client.many(work)
        for _ in range(turn % 3 + 1):
            Client(port).close()
        stranger = socket.create_connection(("127.0.0.1", int(port)), timeout=5)
        stranger.sendall(b"*nonsense\r\n")
        stranger.recv(100)
        stranger.close()

    waiting = threading.Event()

    def who_waits():
        one = Client(port)
        while not waiting.wait(1.5 * scrape):
            one("BLPOP", "exercise:nothing", 2 * scrape)
        one.close()

    thread = threading.Thread(target=who_waits, daemon=True)
    thread.start()
    try:
        must("CONFIG", "SET", "save", "")
        end = time.monotonic() + seconds
        must("CONFIG", "SET", "slowlog-log-slower-than", 100)
        little_of_everything()
        must("CONFIG", "SET", "appendonly", "yes")
        wait_for(lambda: not info("aof_rewrite_in_progress"), 30, "the first rewrite")
        # The rewrite waits until the save is done.
        a_slow_job([("BGSAVE",), ("BGREWRITEAOF",)], "rdb_bgsave_in_progress")
        a_slow_job([], "aof_rewrite_in_progress")
        must("CONFIG", "SET", "rdb-key-save-delay", 0)
        # Room for a little less than there is: the rest goes.
        must("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        must("CONFIG", "SET", "maxmemory", info("used_memory") - 300_000)
        for _ in range(3):
            little_of_everything()
            time.sleep(scrape)
        must("CONFIG", "SET", "maxmemory", info("used_memory") * 2)
        while time.monotonic() < end:
            little_of_everything()
            time.sleep(scrape / 4)
        # The last rates are seen by a few more scrapes.
        time.sleep(3 * scrape)
    finally:
        waiting.set()
        thread.join(10)
        for name, value in kept.items():
            client("CONFIG", "SET", name, value)
        client.close()


def wait_for(question, seconds, what):
    end = time.monotonic() + seconds
    while not question():
        check(time.monotonic() < end, f"after {seconds} s still not: {what}")
        time.sleep(0.1)
