// The query page's chart, drawn from the API: many series, a legend, values under the pointer.
import uPlot from "./uplot.js";

const colours = ["--wait", "--connect", "--receive", "--tls", "--resolve", "--send"];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** A colour that `light-dark()` hides behind a property, as the canvas needs it. */
function painted(name) {
  const probe = document.createElement("i");
  probe.style.color = colour(name);
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function name(labels) {
  const { __name__: metric = "", ...rest } = labels;
  const pairs = Object.entries(rest).map(([k, v]) => `${k}="${v}"`);
  return pairs.length ? `${metric}{${pairs.join(",")}}` : metric || "value";
}

/** Columns as uPlot wants them: one of times, one of values per series, null where none is. */
function columns(result, from, to, step) {
  const length = Math.floor((to - from) / step) + 1;
  const times = Array.from({ length }, (_, i) => from + i * step);
  const values = result.map(({ values: points }) => {
    const column = new Array(length).fill(null);
    for (const [at, text] of points) {
      const value = Number(text);
      if (Number.isFinite(value)) column[Math.round((at - from) / step)] = value;
    }
    return column;
  });
  return [times, ...values];
}

/** Clock times of the zone as the pages write them; the day where a tick is midnight. */
function clock(at, zone) {
  const there = new Date((at + zone * 60) * 1000);
  const text = there.toISOString();
  if (text.slice(11, 19) !== "00:00:00") return text.slice(11, text.slice(17, 19) === "00" ? 16 : 19);
  return there.toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
}

function options(result, width) {
  const axis = { stroke: painted("--ink3"), grid: { stroke: painted("--line"), width: 1 }, ticks: { show: false } };
  const zone = Number(new URLSearchParams(location.search).get("tz") ?? 0);
  return {
    width,
    height: 260,
    tzDate: (at) => uPlot.tzDate(new Date((at + zone * 60) * 1000), "Etc/UTC"),
    cursor: { drag: { setScale: false } },
    hooks: {
      setSelect: [(chart) => {
        if (chart.select.width < 6) return;
        const [a, b] = [chart.select.left, chart.select.left + chart.select.width].map((x) => chart.posToVal(x, "x"));
        const there = new URL(location.href);
        there.searchParams.delete("r");
        there.searchParams.set("from", String(Math.round(a * 1000)));
        there.searchParams.set("to", String(Math.round(b * 1000)));
        location.assign(there);
      }],
    },
    axes: [{ ...axis, values: (_, all) => all.map((at) => clock(at, zone)) }, { ...axis, size: 64 }],
    series: [{ label: "time", value: (_, at) => (at === null ? "" : clock(at, zone)) }, ...result.map(({ metric }, i) => ({
      label: name(metric),
      stroke: painted(colours[i % colours.length]),
      width: 1.5,
      spanGaps: false,
      points: { show: false },
    }))],
  };
}

async function draw(figure) {
  const [from, to] = [Number(figure.dataset.from) / 1000, Number(figure.dataset.to) / 1000];
  const step = Math.max(1, Math.floor((to - from) / 480));
  const body = new URLSearchParams({ query: figure.dataset.queryChart, start: from, end: to, step });
  const answer = await fetch("/api/v1/query_range", { method: "POST", body });
  if (!answer.ok) return;
  const result = (await answer.json()).data.result.slice(0, 20);
  const holder = figure.querySelector(".live-chart");
  new uPlot(options(result, holder.clientWidth), columns(result, from, to, step), holder);
  // The server's picture made room for this one; its table stays.
  figure.classList.add("drawn");
}

for (const figure of document.querySelectorAll("[data-query-chart]")) draw(figure);
