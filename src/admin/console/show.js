// Showing: numbers in words, text of clients, rows of tables. Text becomes text nodes, never markup.

export const by = (id) => document.getElementById(id);

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A number; small ones with a decimal. */
export function count(number) {
  return number !== 0 && Math.abs(number) < 10 && !Number.isInteger(number) ? short.format(number) : whole.format(number);
}

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let rest = number;
  while (rest >= 1024 && at < units.length - 1) {
    rest /= 1024;
    at += 1;
  }
  return `${at === 0 || rest >= 100 ? whole.format(rest) : short.format(rest)} ${units[at]}`;
}

export function micros(number) {
  if (number >= 1e6) {
    return `${short.format(number / 1e6)} s`;
  }
  return number >= 1000 ? `${short.format(number / 1000)} ms` : `${short.format(number)} µs`;
}

export function seconds(number) {
  const rest = Math.max(0, Math.floor(number));
  if (rest < 60) {
    return `${rest} s`;
  }
  if (rest < 3600) {
    return `${Math.floor(rest / 60)} min ${rest % 60} s`;
  }
  if (rest < 86400) {
    return `${Math.floor(rest / 3600)} h ${Math.floor((rest % 3600) / 60)} min`;
  }
  return `${Math.floor(rest / 86400)} d ${Math.floor((rest % 86400) / 3600)} h`;
}

export function percent(share) {
  return `${short.format(share * 100)} %`;
}

/** "1 key", "2 keys". */
export function some(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function moment(unixMs) {
  const date = new Date(unixMs);
  const sameDay = date.toDateString() === new Date().toDateString();
  return sameDay ? date.toLocaleTimeString() : date.toLocaleString();
}

/** Text in which nothing ends a line, turns its direction or takes no room. */
export function clean(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
}

/** An element with a class and children, which are nodes or text. */
export function make(name, className = "", ...children) {
  const element = document.createElement(name);
  if (className !== "") {
    element.className = className;
  }
  element.append(...children);
  return element;
}

/** A client's bytes as the server describes them: text, how many there were, whether it was cut. */
export function named(given, ifEmpty = "") {
  if (given.bytes === 0) {
    return make("span", "soft", ifEmpty);
  }
  const text = make("span", "code", clean(given.text));
  return given.cut ? make("span", "", text, make("span", "soft", ` … ${bytes(given.bytes)}`)) : text;
}

/** Writes text only where it differs: what is selected stays selected. */
export function write(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** A row; each cell is text, or `[class, text or node]`. The first is its heading. */
export function row(cells, className = "") {
  const line = make("tr", className);
  cells.forEach((cell, at) => {
    const [kind, content] = Array.isArray(cell) ? cell : ["", cell];
    const element = make(at === 0 ? "th" : "td", kind, content);
    if (at === 0) {
      element.scope = "row";
    }
    line.append(element);
  });
  return line;
}

/** Brings rows up to date cell by cell. Cells are text, or `[class, text]`, or have a function that updates them. */
export function refill(body, lines) {
  while (body.rows.length > lines.length) {
    body.deleteRow(-1);
  }
  lines.forEach((cells, at) => {
    const line = body.rows[at] ?? body.appendChild(row(cells.map((cell) => (Array.isArray(cell) ? [cell[0], ""] : ""))));
    cells.forEach((cell, column) => {
      const content = Array.isArray(cell) ? cell[1] : cell;
      if (typeof content === "function") {
        content(line.cells[column]);
      } else {
        write(line.cells[column], content);
      }
    });
  });
}

/** Facts as a list of terms; each is `[term, text or node]`. */
export function facts(list, pairs) {
  list.replaceChildren(...pairs.map(([term, content]) => make("div", "", make("dt", "", term), make("dd", "", content))));
}

/** Says something in a note, or takes it away. */
export function note(element, text) {
  element.hidden = text === "";
  write(element, text);
}
