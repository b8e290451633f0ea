// What takes most: the keys and clients that are used most, the largest keys, memory by type and by prefix.

import { ask } from "./ask.js";
import { look } from "./keys.js";
import { by, bytes, count, make, named, note, percent, row, seconds, some, write } from "./show.js";

/** Fetches it. */
export async function usage() {
  let all;
  try {
    all = await ask("usage?top=10");
    note(by("usage-note"), all.on ? "" : "Nothing is watched: key-statistics is no.");
  } catch (error) {
    note(by("usage-note"), error.text ?? String(error));
    return;
  }
  showUsed(all.used);
  showFound(all.found);
}

function fill(name, lines) {
  by(`${name}-rows`).replaceChildren(...lines);
  by(`${name}-none`).hidden = lines.length > 0;
  by(`${name}-table`).hidden = lines.length === 0;
}

/** A share with the bounds that it is sure to lie in. */
function shareCells(one) {
  return [
    ["number", percent(one.share)],
    ["number", `${percent(one.share_low)} to ${percent(one.share_high)}`],
    ["number", count(one.per_second)],
    ["number", percent(one.writes)],
  ];
}

function keyCell(key) {
  const name = named(key.name, "the empty name");
  if (key.id === null) {
    return name;
  }
  const open = make("button", "plain");
  open.type = "button";
  open.append(name);
  open.addEventListener("click", () => look(String(key.db), key.id, "usage-note"));
  return open;
}

function showUsed(used) {
  const over = used.samples === 0 ? "No request was drawn yet." : `Told from ${some(used.samples, "request")} of about the last ${seconds(used.window_s)}, one drawn in ${count(used.one_in)}; bounds hold in ${percent(used.confidence)} of all cases.`;
  write(by("usage-about"), over);
  fill("hot-keys", used.keys.map((key) => row([["text", keyCell(key)], ["number", String(key.db)], ...shareCells(key)])));
  fill("busy-clients", used.clients.map((client) => row([["number", String(client.id)], ["nowrap", named(client.address)], ["text", named(client.name, "–")], client.connected ? "connected" : "gone", ...shareCells(client)])));
  fill("libraries", used.libraries.map((one) => row([["text", named(one.name, "no name")], ["text", named(one.library, "–")], ["text", named(one.version, "–")], ...shareCells(one)])));
}

function showFound(found) {
  by("found").hidden = found === null;
  if (found === null) {
    write(by("found-about"), "The first walk over the keyspace has not ended yet.");
    return;
  }
  const ago = Math.max(0, (Date.now() - found.ended_unix_ms) / 1000);
  write(by("found-about"), `As of ${seconds(ago)} ago: ${some(found.keys, "key")}, ${bytes(found.bytes)}. The walk over them took ${seconds(found.took_s)}.`);
  const share = (part) => percent(found.bytes === 0 ? 0 : part / found.bytes);
  const types = found.types.filter((one) => one.keys > 0);
  fill("types", types.map((one) => row([one.type, ["number", count(one.keys)], ["number", one.type === "string" ? "–" : count(one.elements)], ["number", bytes(one.bytes)], ["number", share(one.bytes)]])));
  const prefixes = found.prefixes.map((one) => {
    const most = one.bytes_high === one.bytes_low ? bytes(one.bytes_low) : `${bytes(one.bytes_low)} to ${bytes(one.bytes_high)}`;
    return row([["text", named(one.prefix)], ["number", count(one.keys)], ["number", most], ["number", share(one.bytes_low)]]);
  });
  if (found.without_prefix.keys > 0) {
    const rest = found.without_prefix;
    prefixes.push(row([["text", make("span", "soft", "without a colon")], ["number", count(rest.keys)], ["number", bytes(rest.bytes)], ["number", share(rest.bytes)]]));
  }
  fill("prefixes", prefixes);
  const large = (key) => row([["text", keyCell(key)], ["number", String(key.db)], key.type, ["number", key.type === "string" ? "–" : count(key.elements)], ["number", bytes(key.bytes)]]);
  fill("largest", found.largest_by_bytes.map(large));
  fill("longest", found.largest_by_elements.map(large));
}
