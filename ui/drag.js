// Dragging over a chart leads to the stretch under it.

const least = 6;

/** The plot under a point: every strip's picture has the same left and right edge. */
function plot(chart) {
  return chart.querySelector(".strip svg.p")?.getBoundingClientRect();
}

function time(chart, box, x) {
  const from = Number(chart.dataset.from);
  const to = Number(chart.dataset.to);
  const part = Math.min(1, Math.max(0, (x - box.left) / box.width));
  return Math.round(from + part * (to - from));
}

function leave(from, to) {
  const there = new URL(location.href);
  there.searchParams.delete("r");
  there.searchParams.set("from", String(from));
  there.searchParams.set("to", String(to));
  location.assign(there);
}

function drag(chart, event) {
  const box = plot(chart);
  if (!box || event.button !== 0 || event.clientX < box.left || event.clientX > box.right) return;
  const strips = chart.querySelector(".strips");
  const mark = document.createElement("div");
  mark.className = "dragged";
  const left = strips.getBoundingClientRect().left;
  const start = event.clientX;
  let end = start;
  const move = (e) => {
    end = Math.min(box.right, Math.max(box.left, e.clientX));
    if (Math.abs(end - start) < least) return;
    strips.append(mark);
    mark.style.left = `${Math.min(start, end) - left}px`;
    mark.style.width = `${Math.abs(end - start)}px`;
    e.preventDefault();
  };
  const stop = (e) => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", stop);
    removeEventListener("pointercancel", stop);
    mark.remove();
    if (e.type !== "pointerup" || Math.abs(end - start) < least) return;
    const [a, b] = [time(chart, box, start), time(chart, box, end)].sort((x, y) => x - y);
    leave(a, b);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", stop);
  addEventListener("pointercancel", stop);
}

/** Listens on every chart below `root` that has a time range. A finger scrolls instead. */
export function dragging(root) {
  for (const chart of root.querySelectorAll("[data-chart]")) {
    chart.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse") drag(chart, event);
    });
  }
}
