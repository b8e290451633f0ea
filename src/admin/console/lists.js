// What is fetched when it is asked for, or has changed: the slow log, clients, settings.

import { ask } from "./ask.js";
import { by, bytes, clean, count, make, micros, moment, named, note, row, seconds, some, write } from "./show.js";

/** Fetches the slow log. */
export async function slowLog() {
  const log = await fetched("slow-note", "slowlog?count=64");
  if (log === null) {
    return;
  }
  const from = log.slower_than_us < 0 ? "Nothing is entered: slowlog-log-slower-than is negative." : `Commands from ${micros(log.slower_than_us)} on; ${count(log.len)} of at most ${count(log.max_len)} entries.`;
  write(by("slow-about"), from);
  const lines = log.entries.map((entry) =>
    row([
      ["nowrap", moment(entry.time_unix_s * 1000)],
      ["number", micros(entry.duration_us)],
      ["text code", clean(entry.arguments.join(" "))],
      ["text", clean(entry.client_name === "" ? entry.client : `${entry.client} ${entry.client_name}`)],
      ["number", micros(entry.stages.lock_wait_us)],
      ["number", micros(entry.stages.run_us)],
      ["number", entry.stages.write_us === null ? "later" : micros(entry.stages.write_us)],
    ]),
  );
  by("slow-rows").replaceChildren(...lines);
}

/** Fetches the clients that the form asks for. */
export async function clients() {
  const query = new URLSearchParams({ count: "100", order: by("clients-order").value, holding: by("clients-holding").value });
  const list = await fetched("clients-note", `clients?${query}`);
  if (list === null) {
    return;
  }
  const shown = list.clients.length;
  const matching = list.matching === list.connected ? "" : `, ${count(list.matching)} hold that`;
  write(by("clients-about"), `${some(list.connected, "client")}${matching}${shown < list.matching ? `; the first ${shown} are shown` : ""}.`);
  by("clients-rows").replaceChildren(...list.clients.map(clientRow));
}

function clientRow(client) {
  const kill = make("button", "danger", "Kill");
  kill.type = "button";
  kill.setAttribute("aria-label", `Kill client ${client.id}`);
  kill.addEventListener("click", () => confirmKill(client));
  return row([
    ["number", String(client.id)],
    ["nowrap", named(client.address)],
    ["text", named(client.name, "–")],
    ["text", named(client.user, "–")],
    ["code nowrap", client.command ?? "–"],
    ["", client.states.length === 0 ? "–" : client.states.join(", ")],
    ["number", seconds(client.idle_s)],
    ["number", seconds(client.age_s)],
    ["number", client.waiting > 0 ? `${bytes(client.memory)}, ${bytes(client.waiting)} not taken` : bytes(client.memory)],
    ["text", named(client.library, "–")],
    ["stay", kill],
  ]);
}

let doomed = null;

function confirmKill(client) {
  doomed = client.id;
  const who = client.name.bytes === 0 ? "" : ", which calls itself ";
  by("kill-whom").replaceChildren(`Client ${client.id} from `, named(client.address), who, named(client.name));
  by("kill").showModal();
  by("kill-no").focus();
}

/** Wires the question before a connection is closed. */
export function wireKill() {
  by("kill-no").addEventListener("click", () => by("kill").close());
  by("kill-yes").addEventListener("click", async () => {
    by("kill").close();
    let said = "";
    try {
      await ask(`clients/kill?id=${doomed}`, { method: "POST" });
    } catch (error) {
      said = error.text ?? String(error);
    }
    await clients();
    if (said !== "") {
      note(by("clients-note"), said);
    }
    by("clients-refresh").focus();
  });
}

let settings = [];

/** Fetches the settings. */
export async function config() {
  const [all, changed] = await Promise.all([fetched("config-note", "config"), fetched("config-note", "config?changed")]);
  if (all === null || changed === null) {
    return;
  }
  settings = Object.entries(all).map(([name, value]) => ({ name, value, changed: changed[name] }));
  // A hidden setting stands in no list but the one of what differs.
  for (const [name, one] of Object.entries(changed).filter(([name]) => !(name in all))) {
    settings.push({ name, value: one.value, changed: one });
  }
  showConfig();
}

/** Shows those settings that the fields above them ask for. */
export function showConfig() {
  const holding = by("config-holding").value.trim().toLowerCase();
  const onlyChanged = by("config-changed").checked;
  const wanted = settings.filter(
    (one) => (!onlyChanged || one.changed !== undefined) && (one.name.includes(holding) || one.value.toLowerCase().includes(holding)),
  );
  const differing = settings.filter((one) => one.changed !== undefined).length;
  write(by("config-about"), `${count(differing)} of ${some(settings.length, "setting")} differ from the defaults; ${count(wanted.length)} shown.`);
  const lines = wanted.map((one) =>
    row(
      [
        ["code nowrap", one.name],
        ["text", one.value === "" ? make("span", "soft", "empty") : make("span", "code", clean(one.value))],
        ["text", one.changed === undefined ? "" : one.changed.default === "" ? make("span", "soft", "empty") : make("span", "code", clean(one.changed.default))],
      ],
      one.changed === undefined ? "" : "changed",
    ),
  );
  by("config-rows").replaceChildren(...lines);
}

/** What a path answers; where it is refused, a note says why. */
async function fetched(noteId, path) {
  try {
    const answer = await ask(path);
    note(by(noteId), "");
    return answer;
  } catch (error) {
    note(by(noteId), error.text ?? String(error));
    return null;
  }
}
