"""A headless Chromium, a client of the server, and axe-core."""
import base64
import os
import socket
import threading
import time
from importlib.util import find_spec
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE_S = 20


class Browser:
    def __init__(self):
        self.wait_s = PATIENCE_S
        options = webdriver.ChromeOptions()
        options.binary_location = os.environ["CHROMIUM"]
        for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                       "--no-proxy-server", "--disable-background-networking", "--force-color-profile=srgb", "--lang=en-GB"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(os.environ["CHROMEDRIVER"]))
        self.driver.set_script_timeout(PATIENCE_S * 3)
        self.axe = (Path(find_spec("axe_playwright_python").origin).parent / "axe.min.js").read_text()

    def look(self, scheme, width, height=900):
        """The colours and the width that the page is shown with."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def open(self, address):
        self.driver.get(address)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.js("return document.querySelector(arguments[0])?.textContent ?? null", selector)

    def js(self, code, *args):
        return self.driver.execute_script(code, *args)

    def click(self, selector):
        self.js("arguments[0].scrollIntoView({block: 'center'})", self.find(selector))
        self.find(selector).click()

    def until(self, what, holds):
        WebDriverWait(self.driver, self.wait_s, 0.1).until(lambda _: holds(), what)

    def errors(self):
        """What the page has complained about since the last call."""
        return [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def violations(self):
        """What axe-core finds, a line each."""
        if not self.js("return typeof axe === 'object'"):
            self.js(self.axe)
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']})"
            ".then(all => done(all.violations), error => done([{id: String(error), nodes: []}]))")
        lines = []
        for one in found:
            where = [" ".join(map(str, node["target"])) for node in one["nodes"]]
            lines.append(f"{one['id']}: {'; '.join(where[:5])}")
        return lines

    def picture(self, path, whole=False):
        shot = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
            shot["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        Path(path).write_bytes(base64.b64decode(self.driver.execute_cdp_cmd("Page.captureScreenshot", shot)["data"]))

    def close(self):
        self.driver.quit()


class Client:
    """A connection that speaks just enough RESP."""

    def __init__(self, port, name=None):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(PATIENCE_S)
        self.reader = self.socket.makefile("rb")
        if name is not None:
            self.ask("CLIENT", "SETNAME", name)

    def ask(self, *words):
        self.send(*words)
        return self.reply()

    def send(self, *words):
        self.socket.sendall(encoded(words))

    def reply(self):
        line = self.reader.readline()
        kind, rest = line[:1], line[1:-2]
        if kind in b"$" and rest != b"-1":
            return self.reader.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return line[:-2]

    def is_closed(self):
        """Whether the server has ended the connection; waits for it."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def encoded(words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Load(threading.Thread):
    """A moderate load of many commands, until it is told to stop."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.ending = port, threading.Event()

    def run(self):
        clients = [Client(self.port, f"web-{number}") for number in range(1, 7)]
        turn = 0
        while not self.ending.is_set():
            turn += 1
            for number, client in enumerate(clients):
                at = turn * 7 + number
                batch = [("GET", f"user:{at % 900}"), ("SET", f"session:{at % 500}", "x" * 80, "EX", 900), ("INCR", "hits"),
                         ("HSET", f"cart:{at % 60}", f"item{at % 9}", at), ("LPUSH", "queue", at), ("LTRIM", "queue", 0, 99),
                         ("ZADD", "ranking", at % 1000, f"player:{at % 300}"), ("GET", f"gone:{at}"), ("SADD", "tags", at % 40)]
                batch = batch * (1 + (turn // 20 + number) % 4)
                client.socket.sendall(b"".join(map(encoded, batch)))
                for _ in batch:
                    client.reply()
            time.sleep(0.02)

    def stop(self):
        self.ending.set()
        self.join()
