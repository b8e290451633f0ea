// The search over keys, and a look at one.

import { ask } from "./ask.js";
import { by, bytes, count, facts, make, named, note, row, seconds, some, write } from "./show.js";

// A page of keys, and for how long one press of a button goes on looking for them.
const WANTED = 50;
const PATIENCE_MS = 2000;

// What is searched: the form as it was when the search began.
let search = null;
let turn = 0;

/** Begins a search with what the form says. */
export async function begin() {
  search = { pattern: by("keys-pattern").value || "*", type: by("keys-type").value, db: by("keys-db").value || "0", cursor: "0", found: 0, lookedAt: 0 };
  by("keys-rows").replaceChildren();
  by("keys-found").hidden = true;
  await goOn();
}

/** Goes on until a page is full, all keys were seen, or it has taken long. */
export async function goOn() {
  const mine = ++turn;
  const until = Date.now() + PATIENCE_MS;
  const before = search.found;
  by("keys-more").hidden = true;
  note(by("keys-note"), "");
  write(by("keys-about"), "Searching");
  let done = false;
  try {
    do {
      const { pattern, type, db, cursor } = search;
      const page = await ask(`keys?${new URLSearchParams({ pattern, type, db, cursor, count: String(WANTED) })}`);
      if (mine !== turn) {
        return;
      }
      search.cursor = page.cursor;
      search.found += page.keys.length;
      search.lookedAt += page.looked_at;
      done = page.done;
      by("keys-rows").append(...page.keys.map((key) => keyRow(db, key)));
      by("keys-found").hidden = search.found === 0;
    } while (!done && search.found - before < WANTED && Date.now() < until);
    by("keys-more").hidden = done;
    const looked = done ? "all keys were looked at" : `about ${count(search.lookedAt)} were looked at, there are more`;
    write(by("keys-about"), search.found === 0 ? `No key found; ${looked}.` : `${some(search.found, "key")} found; ${looked}.`);
  } catch (error) {
    if (mine === turn) {
      write(by("keys-about"), "");
      note(by("keys-note"), error.text ?? String(error));
    }
  }
}

function keyRow(db, key) {
  let name = named(key.name, "the empty name");
  if (key.id !== null) {
    const open = make("button", "plain");
    open.type = "button";
    open.append(name);
    open.addEventListener("click", () => look(db, key.id));
    name = open;
  }
  return row([["text", name], key.type, key.encoding, ["number", ttl(key)], ["number", size(key)], ["number", memory(key)]]);
}

function ttl(key) {
  return key.ttl_ms === null ? "never" : key.ttl_ms < 10_000 ? `${(key.ttl_ms / 1000).toFixed(1)} s` : seconds(key.ttl_ms / 1000);
}

function size(key) {
  return key.type === "string" ? bytes(key.size) : some(key.size, key.type === "stream" ? "entry" : "element", key.type === "stream" ? "entries" : "elements");
}

function memory(key) {
  return key.memory === null ? "large" : bytes(key.memory);
}

const COLUMNS = { string: ["Begin"], list: ["Element"], set: ["Member"], hash: ["Field", "Value"], zset: ["Member", "Score"], stream: ["Entry", "Fields and values"] };

/** Shows a key; what goes wrong is said in a note. */
export async function look(db, id, noteId = "keys-note") {
  let key;
  try {
    key = await ask(`key?db=${encodeURIComponent(db)}&name=${id}`);
  } catch (error) {
    note(by(noteId), error.text ?? String(error));
    return;
  }
  by("key-name").replaceChildren(named(key.name, "the empty name"));
  facts(by("key-facts"), [
    ["Type", `${key.type}, as ${key.encoding}`],
    ["Size", size(key)],
    ["Memory", memory(key)],
    ["Expires in", ttl(key)],
    ["Database", String(key.db)],
  ]);
  const columns = COLUMNS[key.type] ?? ["Element"];
  by("key-columns").replaceChildren(
    ...columns.map((text) => {
      const head = make("th", "", text);
      head.scope = "col";
      return head;
    }),
  );
  by("key-rows").replaceChildren(...key.elements.map((element) => row(cells(element, columns.length))));
  const shown = key.elements.length;
  write(by("key-rest"), key.type !== "string" && shown < key.size ? `${count(shown)} of ${count(key.size)} are shown.` : "");
  by("key-view").showModal();
}

function cells(element, columns) {
  const texts = element.map((part) => named(part, "empty"));
  if (texts.length <= columns) {
    return texts.map((text) => ["text", text]);
  }
  // An entry of a stream has as many fields as it likes.
  const rest = make("span");
  texts.slice(columns - 1).forEach((text, at) => rest.append(...(at === 0 ? [] : [at % 2 === 0 ? ", " : " = "]), text));
  return [...texts.slice(0, columns - 1), rest].map((text) => ["text", text]);
}

/** Wires the form and the view. */
export function wire() {
  by("keys-form").addEventListener("submit", (event) => {
    event.preventDefault();
    begin();
  });
  by("keys-more").addEventListener("click", goOn);
  by("key-close").addEventListener("click", () => by("key-view").close());
}
