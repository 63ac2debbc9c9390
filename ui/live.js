// Live changes: when a run is stored, the page asks the server for itself again and takes the
// new content in place. Nothing is drawn here that the server would not draw.
import { dragging } from "./drag.js";
import { localZone } from "./switches.js";

const pause = 2000;
let waiting = null;
let asking = false;
let again = false;
let heard = Date.now();

function states(root) {
  const found = new Map();
  for (const node of root.querySelectorAll("[data-state][data-name]")) {
    found.set(node.dataset.name, node.dataset.state);
  }
  return found;
}

/** Says once, politely, which states changed; figures that tick are not said. */
function announce(before, after) {
  const changed = [...after].filter(([name, state]) => before.has(name) && before.get(name) !== state);
  if (changed.length === 0) return;
  document.getElementById("said").textContent =
    changed.map(([name, state]) => `${name} is ${state}`).join(", ");
}

/** Whether somebody is in the middle of something that new content would break. */
function busy() {
  const held = document.activeElement?.closest("input, textarea");
  const selected = !getSelection().isCollapsed;
  return document.hidden || selected || (held && held.value !== held.defaultValue) || document.querySelector(".dragged");
}

/** What survives the exchange: open tables, focus, typed text, sideways scroll. */
function take(main, fresh) {
  const open = [...main.querySelectorAll("details")].map((d) => d.open);
  const focused = document.activeElement;
  const links = [...main.querySelectorAll("a, button, input, summary")];
  const at = main.contains(focused) ? links.indexOf(focused) : -1;
  const before = states(main);
  main.replaceChildren(...fresh.childNodes);
  [...main.querySelectorAll("details")].forEach((d, i) => (d.open = open[i] ?? false));
  if (at >= 0) [...main.querySelectorAll("a, button, input, summary")][at]?.focus({ preventScroll: true });
  announce(before, states(main));
  dragging(main);
  localZone();
}

async function refresh() {
  waiting = null;
  if (busy()) return plan();
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("main");
    if (!fresh || busy()) throw new Error("not now");
    take(document.getElementById("main"), fresh);
    for (const id of ["clock"]) document.getElementById(id).replaceChildren(...page.getElementById(id).childNodes);
    Object.assign(document.body.dataset, page.body.dataset);
    document.title = page.title;
    current();
  } catch {
    again = true;
  }
  asking = false;
  if (again) plan();
}

function plan() {
  if (asking) return void (again = true);
  again = false;
  waiting ??= setTimeout(refresh, pause);
}

function current() {
  heard = Date.now();
  document.getElementById("stale").hidden = true;
  document.getElementById("clock").classList.remove("grey");
}

function stale() {
  const line = document.getElementById("stale");
  const at = new Date(heard).toISOString().slice(11, 19);
  line.textContent = `Not updated since ${at} UTC: the connection to whyslow is cut.`;
  line.hidden = false;
  document.getElementById("clock").classList.add("grey");
}

export function follow() {
  if (!document.body.hasAttribute("data-live")) return;
  const stream = new EventSource("/api/v1/live");
  for (const name of ["run", "blind", "lagged"]) {
    stream.addEventListener(name, () => {
      heard = Date.now();
      plan();
    });
  }
  stream.addEventListener("open", () => {
    if (!document.getElementById("stale").hidden) plan();
    current();
  });
  stream.addEventListener("error", stale);
  addEventListener("pagehide", () => stream.close());
}
