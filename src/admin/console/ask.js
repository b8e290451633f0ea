// Asking the server: the token, errors, and the stream of live figures.

const KEPT_AS = "glasswing-admin-token";

// Some browsers refuse storage to a page: the token then lives as long as the page.
let token = "";
try {
  token = sessionStorage.getItem(KEPT_AS) ?? "";
} catch {
  token = "";
}

export function hasToken() {
  return token !== "";
}

export function keepToken(text) {
  token = text;
  try {
    if (text === "") {
      sessionStorage.removeItem(KEPT_AS);
    } else {
      sessionStorage.setItem(KEPT_AS, text);
    }
  } catch {
    // It stays in memory.
  }
}

/** An answer that is not what was asked for. */
export class Refused extends Error {
  constructor(status, error, whatToDo) {
    super(error);
    this.status = status;
    this.whatToDo = whatToDo;
  }

  get text() {
    return this.whatToDo ? `${this.message} (${this.whatToDo})` : this.message;
  }
}

async function send(path, options = {}) {
  const headers = token === "" ? {} : { Authorization: `Bearer ${token}` };
  let response;
  try {
    response = await fetch(path, { cache: "no-store", headers, ...options });
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    throw new Refused(0, "The server does not answer", "");
  }
  if (response.ok) {
    return response;
  }
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // It has no words for it.
  }
  throw new Refused(response.status, problem.error ?? `The server answered ${response.status}`, problem.what_to_do ?? "");
}

/** What a path answers, as JSON. */
export async function ask(path, options) {
  return (await send(path, options)).json();
}

/** Gives every frame of the live figures to `show` until the stream ends. */
export async function listen(show, signal) {
  const response = await send("live", { signal });
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    held += decoder.decode(value, { stream: true });
    const frames = held.split("\n\n");
    held = frames.pop();
    for (const frame of frames.filter((text) => text.startsWith("data: "))) {
      show(JSON.parse(frame.slice("data: ".length)));
    }
  }
}
