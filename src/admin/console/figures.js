// The figures that move: tiles with their last minute, commands, workers, databases, saving.

import { ask } from "./ask.js";
import { by, bytes, clean, count, facts, make, micros, moment, percent, refill, seconds, some, write } from "./show.js";

const KEPT = 60;
const SVG = "http://www.w3.org/2000/svg";

/** A figure with its course. */
class Tile {
  constructor(id) {
    const tile = by(id);
    this.values = [];
    this.value = make("span");
    this.unit = make("small");
    this.more = make("p", "soft");
    this.chart = document.createElementNS(SVG, "svg");
    this.chart.setAttribute("class", "chart");
    this.chart.setAttribute("viewBox", `0 0 ${KEPT - 1} 40`);
    this.chart.setAttribute("preserveAspectRatio", "none");
    this.chart.setAttribute("aria-hidden", "true");
    this.area = this.part("path", "area");
    this.line = this.part("path", "line");
    const base = this.part("path", "base");
    base.setAttribute("d", `M0 40H${KEPT - 1}`);
    tile.append(make("p", "big", this.value, this.unit), this.more, this.chart);
  }

  part(name, className) {
    const part = document.createElementNS(SVG, name);
    part.setAttribute("class", className);
    this.chart.append(part);
    return part;
  }

  /** `figure` is drawn, the texts are written; a figure that is not known yet leaves a gap. */
  show(figure, value, unit, more, top = 0) {
    write(this.value, value);
    write(this.unit, unit);
    write(this.more, more);
    if (figure !== null) {
      this.values.push(figure);
      this.values.splice(0, this.values.length - KEPT);
    }
    const highest = Math.max(top, ...this.values, 1e-9);
    const first = KEPT - this.values.length;
    const points = this.values.map((one, at) => `${first + at} ${(39 - (one / highest) * 37).toFixed(2)}`);
    const line = points.length > 1 ? `M${points.join("L")}` : "";
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", line === "" ? "" : `${line}V40H${first}Z`);
  }

  get highest() {
    return Math.max(0, ...this.values);
  }
}

const tiles = {
  commands: new Tile("tile-commands"),
  latency: new Tile("tile-latency"),
  memory: new Tile("tile-memory"),
  clients: new Tile("tile-clients"),
  hits: new Tile("tile-hits"),
  traffic: new Tile("tile-traffic"),
};

/** Shows one frame. */
export function show(live) {
  about(live);
  now(live);
  commands(live.latency);
  workers(live.workers);
  databases(live);
  saving(live.persistence);
}

function about(live) {
  const port = live.port === 0 ? "" : ` · port ${live.port}`;
  write(by("about"), `version ${live.version}${port} · up for ${seconds(live.uptime_s)}`);
  const failing = live.checks.filter((check) => !check.ok);
  const health = by("health");
  health.hidden = false;
  health.className = failing.length === 0 ? "pill good" : "pill bad";
  write(health, failing.length === 0 ? "Healthy" : some(failing.length, "check fails", "checks fail"));
  const list = by("failing");
  list.hidden = failing.length === 0;
  const words = failing.map((check) => `${check.name}: ${clean(check.reason)}`);
  if (list.dataset.words !== words.join("\n")) {
    list.dataset.words = words.join("\n");
    list.replaceChildren(...words.map((text) => make("li", "", text)));
  }
}

function now(live) {
  const { rates, clients, memory, latency } = live;
  const known = rates !== null;
  tiles.commands.show(
    known ? rates.commands : null,
    known ? count(rates.commands) : "–",
    "a second",
    known ? `errors ${count(rates.errors)} · at most ${count(Math.max(tiles.commands.highest, rates.commands))}` : "measuring",
  );
  const ran = latency.commands.length > 0;
  tiles.latency.show(
    ran ? latency.all.p99_us : 0,
    ran ? micros(latency.all.p99_us) : "–",
    "",
    ran ? `half ${micros(latency.all.p50_us)} · slowest ${micros(latency.all.max_us)}` : "no command of late",
  );
  const limit = memory.limit === 0 ? `no limit · resident ${bytes(memory.resident)}` : `${percent(memory.used / memory.limit)} of ${bytes(memory.limit)} · ${memory.policy}`;
  tiles.memory.show(memory.used, bytes(memory.used), "", `${limit} · peak ${bytes(memory.peak)}`, memory.limit);
  tiles.clients.show(
    clients.connected,
    count(clients.connected),
    `of ${count(clients.max)}`,
    `${count(clients.blocked)} blocked${known ? ` · ${count(rates.connections)} new a second` : ""}`,
  );
  const lookups = known ? rates.hits + rates.misses : 0;
  const share = lookups > 0 ? rates.hits / lookups : null;
  tiles.hits.show(
    share,
    share === null ? "–" : percent(share),
    "",
    known ? `expired ${count(rates.expired)}, evicted ${count(rates.evicted)} a second` : "measuring",
    1,
  );
  tiles.traffic.show(
    known ? rates.input_bytes + rates.output_bytes : null,
    known ? bytes(rates.input_bytes + rates.output_bytes) : "–",
    "a second",
    known ? `in ${bytes(rates.input_bytes)} · out ${bytes(rates.output_bytes)}` : "measuring",
  );
}

function commands(latency) {
  const lines = latency.commands.map((one) => [
    ["code", one.name],
    ["number", count(one.calls)],
    ["number", micros(one.p50_us)],
    ["number", micros(one.p99_us)],
    ["number", micros(one.p999_us)],
    ["number", micros(one.max_us)],
    ["number", percent(one.share)],
    ["number", count(one.errors)],
  ]);
  refill(by("commands-rows"), lines);
  by("commands-none").hidden = lines.length > 0;
  const left = latency.commands_left_out > 0 ? ` ${some(latency.commands_left_out, "more command")} ran, for less time.` : "";
  write(
    by("commands-about"),
    `Times of the last ${seconds(latency.window_s)}, by the server's own histograms: waiting for locks and running, without the network.${left}`,
  );
}

function workers(list) {
  const bar = (busy) => (cell) => {
    if (cell.firstElementChild === null) {
      cell.append(make("div", "bar", make("div", "track", make("i")), make("span")));
    }
    cell.querySelector("i").style.width = `${(busy ?? 0) * 100}%`;
    write(cell.querySelector("span"), busy === null ? "–" : percent(busy));
  };
  const lines = list.map((worker, number) => [
    String(number),
    ["grow", bar(worker.busy)],
    ["number", worker.commands === null ? "–" : count(worker.commands)],
    ["number", count(worker.connections)],
  ]);
  refill(by("workers-rows"), lines);
}

function databases(live) {
  const lines = live.databases.map((database) => [String(database.number), ["number", count(database.keys)], ["number", count(database.expiring)]]);
  if (live.databases_left_out > 0) {
    lines.push([`and ${live.databases_left_out} more`, ["number", ""], ["number", ""]]);
  }
  refill(by("databases-rows"), lines);
  by("databases-none").hidden = lines.length > 0;
}

// The save that this page has started, until its end is told.
let started = null;
let shownFacts = "";

function saving({ save, unsaved_changes, append_only_file, loading }) {
  by("saving-progress").hidden = !(save.running || loading !== null);
  by("save").disabled = save.running || loading !== null;
  if (loading !== null) {
    by("saving-bar").value = loading;
    write(by("saving-label"), `Loading: ${percent(loading)}`);
  } else if (save.running) {
    by("saving-bar").value = save.progress;
    const left = save.seconds_left === null ? "" : `, ${seconds(save.seconds_left)} left`;
    write(by("saving-label"), `Saving: ${percent(save.progress)}, ${some(save.keys, "key")}, ${bytes(save.bytes)}${left}`);
  }
  if (started !== null && !save.running && save.job >= started && save.last !== null) {
    started = null;
    said(save.last.ok ? "Saved." : `The save failed: ${clean(save.last.error ?? "")}`);
  }
  const { last } = save;
  const pairs = [["Changes that no save holds", count(unsaved_changes)]];
  if (last === null) {
    pairs.push(["Last save", "none since the start"]);
  } else {
    pairs.push(["Last save", `${last.ok ? "good" : "failed"}, ${moment(last.finished_unix_ms)}, in ${short(last.seconds)}`]);
    pairs.push(last.ok ? ["Its size", `${some(last.keys, "key")}, ${bytes(last.bytes)}`] : ["Why", clean(last.error ?? "")]);
    pairs.push(["File", make("span", "code", clean(last.file))]);
  }
  if (append_only_file === null) {
    pairs.push(["Append-only file", "off"]);
  } else {
    const state = append_only_file.failing ? "cannot be written" : append_only_file.rewriting ? "is being rewritten" : "is written";
    pairs.push(["Append-only file", `${state}, ${bytes(append_only_file.bytes)}`]);
  }
  const key = JSON.stringify(pairs.map(([term, content]) => [term, content.textContent ?? content]));
  if (key !== shownFacts) {
    shownFacts = key;
    facts(by("saving-facts"), pairs);
  }
}

function short(time) {
  return time < 1 ? `${Math.round(time * 1000)} ms` : `${time.toFixed(1)} s`;
}

function said(text) {
  write(by("saving-message"), text);
}

/** Starts a save; its end is seen in the figures. */
export async function save() {
  by("save").disabled = true;
  said("");
  try {
    const { job } = await ask("save", { method: "POST" });
    started = job;
    said("The save has begun.");
  } catch (error) {
    by("save").disabled = false;
    said(error.text ?? String(error));
    throw error;
  }
}
