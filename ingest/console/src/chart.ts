// A chart over time: uPlot with our colours, and a legend of our own that shows the value under the pointer, or now.
import uPlot from "uplot";
import { attribute, h, write } from "./dom";
import { clock } from "./format";
import type { History } from "./history";

export interface Line { name: string; colour: string; fill?: boolean; show: (value: number) => string }

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export class Chart {
  private readonly plot: uPlot;
  private readonly values: HTMLElement[];
  private span = 300;

  constructor(private readonly host: HTMLElement, legend: HTMLElement, private readonly history: History,
              private readonly lines: Line[], private readonly title: string, axis: (value: number) => string) {
    this.values = lines.map((line) => {
      const value = h("span", { class: "num" }, "–");
      legend.append(h("span", { class: "key" }, h("i", { class: `dot ${line.colour.slice(2)}` }), `${line.name} `, value));
      return value;
    });
    host.setAttribute("role", "img");
    const axes = { stroke: () => colour("--muted"), grid: { stroke: () => colour("--grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    this.plot = new uPlot({
      width: this.width(), height: this.height(), legend: { show: false }, padding: [8, 8, 0, 0],
      cursor: { points: { size: 6 }, drag: { x: false, y: false }, y: false },
      scales: { x: { time: true }, y: { range: (_u, _min, max) => [0, Math.max(max * 1.1, 1e-3)] } },
      axes: [{ ...axes, size: 28, space: 74, values: (_u, splits) => splits.map((s) => clock(new Date(s * 1000)).slice(0, splits.length > 1 && (splits[1] ?? 0) - (splits[0] ?? 0) < 60 ? 8 : 5)) },
             { ...axes, size: 52, space: 34, values: (_u, splits) => splits.map(axis) }],
      series: [{}, ...lines.map((line) => ({
        label: line.name, width: 1.5, points: { show: false }, spanGaps: false,
        stroke: () => colour(line.colour), ...(line.fill ? { fill: () => `${colour(line.colour)}26` } : {}),
      }))],
      hooks: { setCursor: [() => this.legend()] },
    }, [[], ...lines.map(() => [])] as unknown as uPlot.AlignedData, host);
    new ResizeObserver(() => this.plot.setSize({ width: this.width(), height: this.height() })).observe(host);
  }

  show(span = this.span): void {
    this.span = span;
    const data = this.history.last(span);
    this.plot.setData(data as uPlot.AlignedData, false);
    const end = data[0].at(-1) ?? Date.now() / 1000;
    this.plot.setScale("x", { min: end - span, max: end });
    this.legend();
  }

  /** With the page's colours as they are now. */
  repaint(): void {
    this.plot.redraw(false, true);
  }

  private legend(): void {
    const at = this.plot.cursor.idx ?? this.plot.data[0].length - 1;
    const words = this.lines.map((line, i) => {
      const value = this.plot.data[i + 1]?.[at];
      const text = typeof value === "number" ? line.show(value) : "–";
      const element = this.values[i];
      if (element) write(element, text);
      return `${line.name} ${text}`;
    });
    if (this.plot.cursor.idx == null) attribute(this.host, "aria-label", `${this.title}: ${words.join(", ")}`);
  }

  private width(): number { return Math.max(this.host.clientWidth, 120); }
  private height(): number { return Math.max(this.host.clientHeight, 120); }
}
