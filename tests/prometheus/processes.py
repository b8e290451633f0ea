"""Plain processes of a test: started, watched, and ended in the reverse order.

Used by tests/prometheus/run and tests/drill/run.
"""
import os
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from asking import check


class Processes:
    """What was started, ended in the reverse order."""

    def __init__(self, folder):
        self.folder = folder
        self.all = []

    def start(self, name, *command, cwd=None, env=None, **how):
        log = open(Path(self.folder, f"{name}.log"), "ab")
        process = subprocess.Popen(list(map(str, command)), cwd=cwd or self.folder, stdout=log, stderr=log,
                                   env={**os.environ, **(env or {})}, **how)
        log.close()
        self.all.append((name, process))
        return process

    def stop(self, process, seconds=20):
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def end(self):
        for _, process in reversed(self.all):
            if process.poll() is None:
                self.stop(process)

    def all_run(self):
        for name, process in self.all:
            check(process.poll() in (None, 0), f"{name} ended with {process.returncode}:\n{self.log(name)}")

    def log(self, name):
        return Path(self.folder, f"{name}.log").read_text(errors="replace")[-2000:]


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
