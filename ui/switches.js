// The theme switch and the local zone: both only make sense where script runs.

const themes = ["system", "light", "dark"];

function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "switch";
  made.textContent = text();
  made.addEventListener("click", () => {
    act();
    made.textContent = text();
  });
  return made;
}

function theme() {
  return document.documentElement.dataset.theme ?? "system";
}

function nextTheme() {
  const next = themes[(themes.indexOf(theme()) + 1) % themes.length];
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", next);
  } catch {
    // Not kept for the next page, which is all that is lost.
  }
}

/** Turns the word UTC into a link to the browser's own zone, where that is another one. */
export function localZone() {
  const zone = document.getElementById("zone");
  const minutes = -new Date().getTimezoneOffset();
  if (zone?.tagName !== "SPAN" || minutes === 0) return;
  const there = new URL(location.href);
  there.searchParams.set("tz", String(minutes));
  const link = document.createElement("a");
  link.id = "zone";
  link.href = there.pathname + there.search;
  link.textContent = "UTC";
  link.title = "Show local time";
  zone.replaceWith(link);
}

export function switches() {
  document.getElementById("switches")?.append(button(() => `Theme: ${theme()}`, nextTheme));
  localZone();
}
