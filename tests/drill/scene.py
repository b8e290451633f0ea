"""One server of the drill, and what an engineer on call sees of it: alerts, panels, probes, console, slow log."""
import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

import asking
from asking import Client, check, prometheus, wait_for
from processes import answers

SCRAPE_S = 1
# What Grafana would put for $__rate_interval: four scrapes and one.
WINDOW = "5s"
# Before a trouble there has to be something that it can be compared with.
CALM_S = 8
# An alert whose rule waits for minutes waits for seconds here.
PATIENCE_S = 60


class Scene:
    """A server with its ports. `name` is the label `instance` of its series."""

    def __init__(self, name, program, port, admin, folder, url):
        self.name, self.program, self.port, self.admin, self.url = name, program, port, admin, url
        self.folder = Path(folder)
        self.began = self.calm_since = None
        self.kept = []

    def start(self, processes, options, env=None, **how):
        """Two workers and no save points, unless the options say otherwise."""
        command = [self.program, "--port", self.port, "--bind", "127.0.0.1", "--admin-port", self.admin, "--admin-bind", "127.0.0.1",
                   "--dir", self.folder, "--workers", 2, "--save", "", "--enable-debug-command", "local", *options]
        process = processes.start(self.name, *command, env=env, **how)
        wait_for(lambda: process.poll() is not None or answers(self.address("/readyz")), 30, f"{self.name} is ready")
        check(process.poll() is None, f"{self.name} ended:\n{processes.log(self.name)}")
        self.log_file = Path(processes.folder, f"{self.name}.log")

    def client(self, name=None):
        """A connection, with a name as applications give one."""
        client = Client(self.port, 0)
        if name:
            check(client("CLIENT", "SETNAME", name) == b"+OK", "CLIENT SETNAME")
        return client

    # ---- what it says itself

    def address(self, path):
        return f"http://127.0.0.1:{self.admin}{path}"

    def ask(self, path):
        """Status and text."""
        try:
            with urllib.request.urlopen(self.address(path), timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def json(self, path):
        status, text = self.ask(path)
        check(status == 200, f"{self.name}: {path}: {status} {text}")
        return json.loads(text)

    def ready(self):
        """The names of the checks that fail, and all of what is said."""
        _, text = self.ask("/readyz?verbose")
        return re.findall(r"^\[-\](\w+)", text, re.M), text

    def live(self):
        """One event of the stream that the console shows: the second, since the first knows no rates."""
        with urllib.request.urlopen(self.address("/live"), timeout=10) as stream:
            events = (line for line in stream if line.startswith(b"data:"))
            next(events)
            return json.loads(next(events)[5:])

    def failing_in_the_console(self):
        return [one["name"] for one in self.live()["checks"] if not one["ok"]]

    def slow(self):
        """The slow log, each as its words and its figures."""
        return [(" ".join(one["arguments"]), one) for one in self.json("/slowlog?count=128")["entries"]]

    def log(self):
        return self.log_file.read_text(errors="replace")

    # ---- what Prometheus says of it

    def alerts(self, state="firing"):
        return {alert["labels"]["alertname"] for alert in prometheus(self.url, "alerts")["alerts"]
                if alert["labels"].get("instance") == self.name and alert["state"] == state}

    def curve(self, panel, since, until):
        """The values of one line of a panel, every second: its series, or those with some labels, added up."""
        board, title, legend, _, *labels = panel
        expr = asking.in_words(query(board, title, legend), {"job": "glasswing", "instance": self.name, "cmd": ".*"}, WINDOW)
        sums = {}
        for series in prometheus(self.url, "query_range", query=expr, start=since, end=until, step=SCRAPE_S)["result"]:
            if not all(wanted.items() <= series["metric"].items() for wanted in labels):
                continue
            for at, value in series["values"]:
                sums[at] = sums.get(at, 0.0) + float(value)
        return list(sums.values())

    def moved(self, panel):
        """How a line of a panel was before the trouble, and where it has been since; None while it has not moved."""
        # The first seconds of a rate have no data yet.
        before = self.curve(panel, self.calm_since + 3, self.began)
        now = time.time()
        since = self.curve(panel, self.began + 1, now) if now > self.began + 2 else []
        if not since or (panel[3] == "falls" and not before):
            return None
        if panel[3] == "falls":
            was, now = min(before), min(since)
            return (was, now) if now < 0.7 * was else None
        was, now = max(before, default=0.0), max(since)
        return (was, now) if now > 2 * was and now > 0 else None


def query(board, title, legend):
    """The query of a line of a panel, as the dashboard's file has it."""
    boards = dict(asking.dashboards())
    check(board in boards, f"there is no dashboard {board}")
    found = [target["expr"] for panel in boards[board]["panels"] if panel["title"] == title
             for target in panel.get("targets", []) if target["legendFormat"] == legend]
    check(len(found) == 1, f"{board}: {len(found)} lines {legend!r} of panel {title!r}")
    return found[0]
