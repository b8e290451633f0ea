"""What is checked of the console. See `run`."""
import argparse
import sys
import traceback
from pathlib import Path

from browser import Browser, Client, Load
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

LOOKS = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]
HOSTILE = b"</script><b onclick=\"x\">'\r\n\x1b[31m\xff\x00\xe2\x80\xae"
HOSTILE_SHOWN = "</script><b onclick=\"x\">'\\r\\n\\u{1b}[31m\\xff\\0\\u{202e}"


def pair(text):
    port, admin = text.split(",")
    return int(port), f"http://127.0.0.1:{admin}/"


def fill(port):
    client = Client(port, b"</b>weird\"name")
    for number in range(900):
        client.ask("SET", f"user:{number}", f"John {number}")
    client.ask("SET", HOSTILE, HOSTILE)
    client.ask("RPUSH", "hostile-list", HOSTILE, "b" * 1000, "")
    client.ask("HSET", "hostile-hash", HOSTILE, HOSTILE)
    client.ask("XADD", "stream", "1-1", "temperature", "21", "unit", "C")
    client.ask("ZADD", "scores", "1.5", "one")
    client.ask("SET", b"long" * 2000, "x")
    client.ask("SELECT", "3")
    client.ask("SET", "elsewhere", "1")
    # What is slow, and means harm.
    client.ask("EVAL", "local x = 0 for i = 1, 3e5 do x = x + i % 7 end return x", "1", "<img src=x onerror=alert(1)>\u202e")
    return client


def until_live(browser):
    browser.until("the page is live", lambda: browser.text("#link") == "Live")
    browser.until("rates are shown", lambda: browser.text("#tile-commands .big span") not in ("", "–"))


def the_policy_holds(browser, _):
    assert not browser.errors()
    assert browser.js("try { document.createElement('p').innerHTML = '<b>x</b>'; return 'made' } catch (error) { return error.name }") == "TypeError"
    assert browser.js("return document.scripts.length") == 1
    blocked = browser.errors()
    assert len(blocked) == 1 and "TrustedHTML" in blocked[0], blocked


def figures_move(browser, _):
    figure = "#tile-commands .big span"
    line = "return document.querySelector('#tile-commands .line').getAttribute('d')"
    value, course = browser.text(figure), browser.js(line)
    browser.until("the figure changes", lambda: browser.text(figure) != value)
    browser.until("the course goes on", lambda: browser.js(line) not in ("", course))
    browser.until("commands are named", lambda: "lpush" in browser.text("#commands-rows"))
    assert "µs" in browser.text("#commands-rows"), browser.text("#commands-rows")
    assert "%" in browser.text("#workers-rows")
    assert browser.js("return document.querySelectorAll('#workers-rows tr').length") == 2
    databases = browser.text("#databases-rows")
    assert databases.startswith("0") and databases.endswith("310"), databases
    assert browser.text("#health") == "Healthy"
    assert "256 MiB" in browser.text("#tile-memory"), browser.text("#tile-memory")


def a_save_is_made(browser, _):
    browser.click("#save")
    browser.until("the save ends", lambda: browser.text("#saving-message") == "Saved.")
    browser.until("it is told", lambda: "good" in browser.text("#saving-facts"))
    assert "glasswing.snapshot" in browser.text("#saving-facts")


def a_client_is_killed(browser, port):
    victim = Client(port, "victim")
    browser.js("document.getElementById('clients-holding').value = 'VICTIM'")
    browser.click("#clients-form button")
    browser.until("the client is listed", lambda: "victim" in (browser.text("#clients-rows") or ""))
    browser.click("#clients-rows button")
    assert browser.js("return document.getElementById('kill').open")
    assert "victim" in browser.text("#kill-whom")
    assert browser.js("return document.activeElement.id") == "kill-no"
    browser.find("#kill-no").send_keys(Keys.ESCAPE)
    browser.until("Escape closes the question", lambda: not browser.js("return document.getElementById('kill').open"))
    assert victim.ask("PING") == b"+PONG"
    browser.click("#clients-rows button")
    violations_of(browser, "the question before a connection is closed")
    browser.click("#kill-yes")
    browser.until("the client is gone", lambda: "victim" not in browser.text("#clients-rows"))
    assert victim.is_closed()
    browser.js("document.getElementById('clients-holding').value = ''")
    browser.click("#clients-form button")
    browser.until("the weird name is there", lambda: "</b>weird\"name" in browser.text("#clients-rows"))
    assert browser.js("return document.querySelectorAll('#clients-rows b').length") == 0


def keys_are_found_and_shown(browser, _):
    search(browser, "*script*")
    rows = "#keys-rows tr"
    browser.until("the hostile key is found", lambda: HOSTILE_SHOWN in browser.text("#keys-rows"))
    assert browser.js("return document.querySelectorAll('#keys-rows b, #keys-rows script').length") == 0
    browser.click(f"{rows} button")
    browser.until("the key is shown", lambda: browser.js("return document.getElementById('key-view').open"))
    assert browser.text("#key-name") == HOSTILE_SHOWN
    assert browser.text("#key-rows") == HOSTILE_SHOWN
    violations_of(browser, "a key")
    browser.find("#key-close").send_keys(Keys.ESCAPE)
    browser.until("Escape closes it", lambda: not browser.js("return document.getElementById('key-view').open"))
    for key, expected in [("hostile-hash", HOSTILE_SHOWN), ("hostile-list", "1,000 B"), ("stream", "temperature = 21, unit = C"), ("scores", "1.5")]:
        search(browser, key)
        browser.until(f"{key} is found", lambda: browser.text("#keys-rows th") == key)
        browser.click(f"{rows} button")
        browser.until(f"{key} is shown", lambda: expected in browser.text("#key-rows"))
        browser.click("#key-close")
    search(browser, "longlong*")
    browser.until("a long name is cut", lambda: "8,000" in browser.text("#keys-rows") or "7.8 KiB" in browser.text("#keys-rows"))
    assert browser.js("return document.querySelectorAll('#keys-rows button').length") == 0
    search(browser, "nothing-like-this")
    browser.until("nothing is found", lambda: "No key found; all keys were looked at" in browser.text("#keys-about"))
    search(browser, "*", 3)
    browser.until("the other database is searched", lambda: browser.text("#keys-rows th") == "elsewhere")
    search(browser, "*")
    browser.until("there is more", lambda: not browser.js("return document.getElementById('keys-more').hidden"))
    before = browser.js(f"return document.querySelectorAll('{rows}').length")
    browser.click("#keys-more")
    browser.until("more is found", lambda: browser.js(f"return document.querySelectorAll('{rows}').length") > before)
    search(browser, "*", 99)
    browser.until("a wrong database is told", lambda: "no such database" in browser.text("#keys-note"))
    # The server has said 400, and the browser notes that on its own.
    assert all("400" in line for line in browser.errors())
    search(browser, "user:1*")


def search(browser, pattern, database=0):
    field = browser.find("#keys-pattern")
    browser.js("document.getElementById('keys-db').value = arguments[0]", database)
    field.clear()
    # Enter is enough.
    field.send_keys(pattern, Keys.ENTER)


def what_takes_most_is_named(browser, port):
    busy = Client(port, b"busy\"one")
    for _ in range(4000):
        busy.ask("INCR", HOSTILE + b"-hot")
    busy.ask("RPUSH", b"<b>big</b>:list", *["x" * 100] * 2000)

    def named(rows, text):
        browser.click("#usage-refresh")
        return text in (browser.text(rows) or "")

    browser.until("the hot key is named", lambda: named("#hot-keys-rows", HOSTILE_SHOWN + "-hot"))
    assert " to " in browser.text("#hot-keys-rows") and "%" in browser.text("#hot-keys-rows")
    browser.until("the busy client is named", lambda: named("#busy-clients-rows", 'busy"one'))
    browser.until("the walk is over", lambda: named("#largest-rows", "<b>big</b>:list"))
    assert "2,000" in browser.text("#longest-rows"), browser.text("#longest-rows")
    assert "list" in browser.text("#types-rows") and "user:" in browser.text("#prefixes-rows")
    assert browser.js("return document.querySelectorAll('#usage tbody b, #usage tbody script').length") == 0
    browser.click("#longest-rows button")
    browser.until("the key is shown", lambda: browser.js("return document.getElementById('key-view').open"))
    assert browser.text("#key-name") == "<b>big</b>:list"
    browser.click("#key-close")
    busy.socket.close()


def the_slow_log_names_the_culprit(browser, _):
    browser.until("the slow command is listed", lambda: "onerror" in browser.text("#slow-rows"))
    assert "\\u{202e}" in browser.text("#slow-rows")
    assert browser.js("return document.querySelectorAll('#slow-rows img').length") == 0


def settings_differ(browser, _):
    browser.until("settings are there", lambda: "maxmemory-policy" in browser.text("#config-rows"))
    assert "noeviction" in browser.text("#config-rows")
    assert "tcp-backlog" not in browser.text("#config-rows")
    browser.click("#config-changed")
    browser.until("all are shown", lambda: "tcp-backlog" in browser.text("#config-rows"))
    browser.find("#config-holding").send_keys("maxmemory")
    browser.until("they are filtered", lambda: "tcp-backlog" not in browser.text("#config-rows"))
    browser.find("#config-holding").clear()
    browser.click("#config-changed")


def the_keyboard_is_enough(browser, _):
    browser.driver.refresh()
    until_live(browser)
    body = browser.find("body")
    body.send_keys(Keys.TAB)
    reached = []
    for _ in range(300):
        reached.append(browser.js("const it = document.activeElement; return it.id || it.className || it.textContent"))
        if reached[-1] == "config-refresh":
            break
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
    for wanted in ("skip", "token-open", "save", "slow-refresh", "usage-refresh", "clients-holding", "keys-pattern", "config-refresh"):
        assert wanted in reached, (wanted, reached)
    assert reached[0] == "skip", reached[:3]


def violations_of(browser, what):
    found = browser.violations()
    assert not found, f"{what}: " + "\n  ".join(found)


def every_look_is_well(browser, pictures):
    for scheme, width in LOOKS:
        browser.look(scheme, width)
        browser.js("window.scrollTo(0, 0)")
        browser.until("the look is taken", lambda: browser.js("return innerWidth") == width)
        assert browser.js("return matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
        wide = browser.js("return document.documentElement.scrollWidth")
        assert wide <= width, f"{scheme}, {width}: the page is {wide} wide"
        if pictures:
            browser.picture(f"{pictures}/{scheme}-{width}.png", whole=True)
        violations_of(browser, f"{scheme}, {width}")
    browser.look("light", 1280)


def the_token_is_asked_for(browser, address):
    browser.open(address)
    # The figures and the lists were refused, which the browser notes.
    browser.until("the token is asked for", lambda: browser.js("return document.getElementById('token').open"))
    violations_of(browser, "the question for the token")
    browser.find("#token-text").send_keys("wrong", Keys.ENTER)
    browser.until("a wrong one is told", lambda: "does not take this token" in browser.text("#token-why"))
    browser.find("#token-text").send_keys("correct-horse", Keys.ENTER)
    browser.until("the right one is taken", lambda: browser.text("#link") == "Live")
    browser.until("settings are there", lambda: "admin-port" in browser.text("#config-rows"))
    assert all("401" in line for line in browser.errors())
    browser.driver.refresh()
    browser.until("it lasts in this tab", lambda: browser.text("#link") == "Live")
    assert browser.js("return localStorage.length + document.cookie.length") == 0
    assert "correct" not in browser.js("return location.href + document.documentElement.outerHTML")
    browser.click("#token-open")
    browser.click("#token-forget")
    browser.until("it is forgotten", lambda: browser.js("return document.getElementById('token').open"))
    assert browser.js("return sessionStorage.length") == 0
    assert all("401" in line for line in browser.errors())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--open", type=pair)
    parser.add_argument("--guarded", type=pair)
    parser.add_argument("--pictures", type=Path)
    asked = parser.parse_args()
    if asked.pictures:
        asked.pictures.mkdir(parents=True, exist_ok=True)
    port, address = asked.open
    kept = fill(port)
    load = Load(port)
    load.start()
    browser = Browser()
    failed = 0
    checks = [(the_policy_holds, port), (figures_move, port), (a_save_is_made, port), (a_client_is_killed, port),
              (keys_are_found_and_shown, port), (what_takes_most_is_named, port), (the_slow_log_names_the_culprit, port), (settings_differ, port),
              (every_look_is_well, asked.pictures), (the_keyboard_is_enough, port), (the_token_is_asked_for, asked.guarded[1])]
    try:
        browser.look("light", 1280)
        browser.open(address)
        until_live(browser)
        for check, argument in checks:
            name = check.__name__.replace("_", " ")
            try:
                check(browser, argument)
                complaints = browser.errors()
                assert not complaints, "\n".join(complaints)
                print(f"console: {name}: passed")
            except Exception:
                failed += 1
                traceback.print_exc()
                print(f"console: {name}: FAILED")
                browser.errors()
        if asked.pictures:
            the_best_picture(browser, address, asked.pictures)
    finally:
        browser.close()
        load.stop()
        kept.socket.close()
    return 1 if failed else 0


def the_best_picture(browser, address, folder):
    """The upper part of the page, for the README, once there is a course to see."""
    browser.look("light", 1280, 1010)
    browser.open(address)
    until_live(browser)
    browser.wait_s = 90
    browser.until("there is a course", lambda: browser.js("return document.querySelector('#tile-commands .line').getAttribute('d').split('L').length") >= 40)
    browser.picture(folder / "console.png")


if __name__ == "__main__":
    sys.exit(main())
