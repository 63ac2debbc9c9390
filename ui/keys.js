// The keyboard: every key has a visible counterpart, and none works while somebody types.

const pages = { o: "/", c: "/checks", e: "/edge", w: "/wire", q: "/query" };
let first = "";

function go(path, change) {
  const there = new URL(path, location.href);
  const query = new URLSearchParams(document.body.dataset.query);
  for (const [name, value] of query) there.searchParams.set(name, value);
  change?.(there.searchParams);
  location.assign(there);
}

/** Moves or stretches the range; a page of one run steps to its neighbour instead. */
function range(shift, stretch) {
  const step = document.querySelector(`[data-step=${shift < 0 ? "before" : "after"}]`);
  if (shift !== 0 && step) return location.assign(step.href);
  const from = Number(document.body.dataset.from);
  const to = Number(document.body.dataset.to);
  const length = to - from;
  const middle = (from + to) / 2 + shift * length;
  const half = (length * stretch) / 2;
  const end = Math.min(Date.now(), middle + half);
  go(location.href, (query) => {
    query.delete("r");
    query.set("from", String(Math.round(end - half * 2)));
    query.set("to", String(Math.round(end)));
  });
}

/** The rows of the page's first list, and which of them has the focus. */
function rows() {
  const links = [...document.querySelectorAll("main tbody th a, main .paths h3 a")];
  return [links, links.indexOf(document.activeElement)];
}

function row(step) {
  const [links, at] = rows();
  if (links.length === 0) return;
  links[Math.min(links.length - 1, Math.max(0, at + step))].focus();
}

function tables() {
  const all = [...document.querySelectorAll("details.tbl")];
  const open = !all.some((table) => table.open);
  for (const table of all) table.open = open;
  if (open) all[0]?.querySelector("summary").focus();
}

function find() {
  const field = document.querySelector("input[type=search], textarea");
  if (field) field.focus();
  else go("/checks#q");
}

const keys = {
  "/": find,
  "[": () => range(-1, 1),
  "]": () => range(1, 1),
  "+": () => range(0, 0.5),
  "-": () => range(0, 2),
  j: () => row(1),
  k: () => row(-1),
  m: () => document.getElementById("mark-text")?.focus(),
  t: tables,
  "?": () => go("/keys"),
};

export function listen() {
  if (location.hash === "#q") document.getElementById("q")?.focus();
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = first === "g" && pages[event.key] ? () => go(pages[event.key]) : keys[event.key];
    first = event.key;
    if (!act) return;
    event.preventDefault();
    act();
  });
}
