// The page's life: the stream of figures while somebody looks, the token, and the buttons.

import { hasToken, keepToken, listen } from "./ask.js";
import * as figures from "./figures.js";
import * as keys from "./keys.js";
import * as lists from "./lists.js";
import { by, note, write } from "./show.js";
import { usage } from "./usage.js";

// Frames come every second: so long without one means that the way is broken.
const SILENCE_MS = 10_000;
const LONGEST_PAUSE_MS = 15_000;
// Clients are fetched anew when some came or went, but not more often than this.
const CLIENTS_MS = 5_000;
// What takes most changes slowly.
const USAGE_MS = 5_000;

let stream = null;
let slowSeen = "";
let clientsSeen = "";
let clientsAt = 0;
let usageAt = 0;

function link(text, kind) {
  const pill = by("link");
  pill.className = `pill ${kind}`;
  write(pill, text);
}

/** Listens while the page is seen, and comes again when the stream ends. */
async function follow() {
  let pause = 1000;
  while (!document.hidden) {
    const mine = new AbortController();
    stream = mine;
    let timer;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => mine.abort(), SILENCE_MS);
    };
    let refused = null;
    try {
      link("Connecting", "");
      wait();
      await listen((live) => {
        wait();
        pause = 1000;
        link("Live", "good");
        note(by("trouble"), "");
        figures.show(live);
        fetchWhatChanged(live);
      }, mine.signal);
    } catch (error) {
      refused = error;
    } finally {
      clearTimeout(timer);
    }
    if (stream !== mine) {
      // The page was hidden, or another token is used: whoever did that goes on.
      return;
    }
    if (refused?.status === 401) {
      link("A token is needed", "bad");
      askForToken(hasToken() ? "The server does not take this token." : "");
      return;
    }
    if (refused?.status > 0) {
      note(by("trouble"), refused.text);
    }
    link(refused?.status > 0 ? "Refused" : "No connection: trying again", "bad");
    await new Promise((go) => setTimeout(go, pause));
    if (stream !== mine) {
      return;
    }
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

function stop() {
  const old = stream;
  stream = null;
  old?.abort();
}

function restart() {
  stop();
  follow();
}

/** The lists that show keys and clients are not in the figures: they are asked for when the figures say so. */
function fetchWhatChanged(live) {
  const slow = `${live.slow_log.len} ${live.slow_log.last_id}`;
  if (slow !== slowSeen) {
    slowSeen = slow;
    lists.slowLog();
  }
  const clients = `${live.clients.connected} ${live.clients.received}`;
  const touched = by("clients").contains(document.activeElement) || by("kill").open;
  if (clients !== clientsSeen && !touched && Date.now() - clientsAt >= CLIENTS_MS) {
    clientsSeen = clients;
    clientsAt = Date.now();
    lists.clients();
  }
  // Whoever is about to press a button there has it taken away by nobody.
  const held = by("usage").contains(document.activeElement) || by("key-view").open;
  if (!held && Date.now() - usageAt >= USAGE_MS) {
    usageAt = Date.now();
    usage();
  }
}

function fetchAll() {
  slowSeen = "";
  clientsSeen = "";
  clientsAt = 0;
  usageAt = 0;
  lists.config();
}

function askForToken(why) {
  write(by("token-why"), `${why} It is kept in this tab until you close it, and sent to this server only.`.trim());
  by("token-text").value = "";
  if (!by("token").open) {
    by("token").showModal();
  }
  by("token-text").focus();
}

function useToken(text) {
  keepToken(text.trim());
  by("token").close();
  fetchAll();
  restart();
}

by("token-open").addEventListener("click", () => askForToken(hasToken() ? "A token is in use." : ""));
by("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(by("token-text").value);
});
by("token-forget").addEventListener("click", () => useToken(""));
by("token-cancel").addEventListener("click", () => by("token").close());
by("save").addEventListener("click", () => figures.save().catch(() => {}));
by("slow-refresh").addEventListener("click", () => lists.slowLog());
by("usage-refresh").addEventListener("click", () => usage());
by("clients-refresh").addEventListener("click", () => lists.clients());
by("clients-form").addEventListener("submit", (event) => {
  event.preventDefault();
  lists.clients();
});
by("config-refresh").addEventListener("click", () => lists.config());
by("config-holding").addEventListener("input", lists.showConfig);
by("config-changed").addEventListener("change", lists.showConfig);
lists.wireKill();
keys.wire();
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stop();
    link("Paused", "");
  } else {
    restart();
  }
});

fetchAll();
follow();
