// @ts-check
/** Curves of one run or of several: a small chart per metric, drawn anew as numbers come in. */

const EVERY_MS = 2000;
const HEIGHT = 150;
const DENSE = 0.5;
const MOST = 12;

/**
 * @typedef {{name: string, over: boolean, columns: Record<string, (number | null)[]>}} Run
 * @typedef {{plot: any, title: HTMLElement, key: string}} Drawn
 */

/** @param {HTMLElement} place */
function urls(place) {
  if (place.dataset.url) return [place.dataset.url];
  const found = [];
  for (let number = 0; place.dataset[`url-${number}`] ?? place.getAttribute(`data-url-${number}`); number += 1) {
    found.push(String(place.getAttribute(`data-url-${number}`)));
  }
  return found;
}

/** Metrics in the order of their worth: the loss, what validation measures (it stands in few rows), the rest. @param {Run[]} runs */
export function metricNames(runs) {
  /** @type {Map<string, number>} */
  const rank = new Map();
  for (const { columns } of runs) {
    for (const [name, values] of Object.entries(columns)) {
      if (name === "step") continue;
      const share = values.filter((value) => value !== null).length / Math.max(1, values.length);
      const own = name === "loss" ? 0 : share < DENSE ? 1 : 2;
      rank.set(name, Math.min(own, rank.get(name) ?? own));
    }
  }
  return [...rank].sort((a, b) => a[1] - b[1]).map(([name]) => name).slice(0, MOST);
}

/** One x axis for all runs: uPlot wants aligned columns. @param {Run[]} runs @param {string} name */
export function aligned(runs, name) {
  const steps = [...new Set(runs.flatMap((run) => run.columns.step ?? []))].sort((a, b) => Number(a) - Number(b));
  const rows = runs.map(({ columns }) => {
    const byStep = new Map((columns.step ?? []).map((step, i) => [step, columns[name]?.[i] ?? null]));
    return steps.map((step) => byStep.get(step) ?? null);
  });
  return [steps, ...rows];
}

/** @param {string} name */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** @param {HTMLElement} place @param {string} name @param {number} count */
function draw(place, name, count) {
  const box = document.createElement("section");
  box.className = "chart";
  box.dataset.metric = name;
  const title = document.createElement("h3");
  title.append(name.replaceAll("_", " "), document.createElement("span"));
  const holder = document.createElement("div");
  box.append(title, holder);
  place.append(box);
  const axis = { stroke: () => colour("--soft"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const Plot = /** @type {any} */ (globalThis).uPlot;
  const plot = new Plot(
    {
      width: holder.clientWidth || 300,
      height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { x: true, y: false } },
      scales: { x: { time: false } },
      axes: [axis, { ...axis, size: 46 }],
      series: [
        {},
        ...Array.from({ length: count }, (_, i) => ({ stroke: () => colour(`--series-${i % 6}`), width: 2, spanGaps: true, points: { show: count < 2 ? undefined : false } })),
      ],
    },
    [[], ...Array.from({ length: count }, () => [])],
    holder,
  );
  new ResizeObserver(() => plot.setSize({ width: holder.clientWidth, height: HEIGHT })).observe(holder);
  return { plot, title, key: "" };
}

/** @param {HTMLElement} place */
export function charts(place) {
  if (place.dataset.ready) return;
  place.dataset.ready = "true";
  /** @type {Map<string, Drawn>} */
  const drawn = new Map();
  const empty = place.parentElement?.querySelector("[data-charts-empty]");
  const sources = urls(place);
  let validated = -1;

  async function look() {
    if (!place.isConnected) return;
    /** @type {Run[]} */
    let runs = [];
    try {
      const answers = await Promise.all(sources.map((url) => fetch(url, { headers: { Accept: "application/json" } })));
      if (answers.some((answer) => !answer.ok)) throw new Error("no curves");
      runs = await Promise.all(answers.map((answer) => answer.json()));
    } catch {
      setTimeout(look, 2 * EVERY_MS); // the server is away for a moment
      return;
    }
    for (const name of metricNames(runs)) {
      const data = aligned(runs, name);
      const one = drawn.get(name) ?? draw(place, name, runs.length);
      drawn.set(name, one);
      const key = `${data[0].length} ${data[0].at(-1)}`;
      if (key === one.key) continue;
      one.key = key;
      one.plot.setData(data);
      const last = data[1].filter((value) => value !== null).at(-1);
      const figure = one.title.querySelector("span");
      if (figure && runs.length === 1 && last !== undefined && last !== null) figure.textContent = Number(last.toPrecision(4)).toString();
    }
    if (empty instanceof HTMLElement) empty.hidden = drawn.size > 0;
    place.dataset.rows = String(runs[0]?.columns.step?.length ?? 0);
    const points = Object.entries(runs[0]?.columns ?? {}).filter(([, values]) => values.filter((v) => v !== null).length < values.length);
    const now = Math.max(0, ...points.map(([, values]) => values.filter((v) => v !== null).length));
    if (validated >= 0 && now !== validated) document.body.dispatchEvent(new CustomEvent("training:validated"));
    validated = now;
    if (!runs.every((run) => run.over)) setTimeout(look, document.hidden ? 5 * EVERY_MS : EVERY_MS);
  }
  void look();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const { plot } of drawn.values()) plot.redraw(false, true);
  });
}
