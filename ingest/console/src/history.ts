// What the charts show: a point a second for a quarter of an hour, gaps where nothing was heard.

export const historySeconds = 900;

export class History {
  readonly times: number[] = [];
  readonly columns: (number | null)[][];

  constructor(columns: number) {
    this.columns = Array.from({ length: columns }, () => []);
  }

  add(time: number, values: (number | null)[]): void {
    const last = this.times.at(-1);
    if (last !== undefined && time <= last) return;
    if (last !== undefined && time - last > 3) this.push(last + 1, values.map(() => null));
    this.push(time, values);
  }

  /** The part of the last `seconds`, for uPlot. */
  last(seconds: number): [number[], ...(number | null)[][]] {
    const from = (this.times.at(-1) ?? 0) - seconds;
    let start = this.times.length;
    while (start > 0 && (this.times[start - 1] ?? 0) >= from) --start;
    return [this.times.slice(start), ...this.columns.map((column) => column.slice(start))];
  }

  private push(time: number, values: (number | null)[]): void {
    this.times.push(time);
    this.columns.forEach((column, i) => column.push(values[i] ?? null));
    const tooMany = this.times.length - historySeconds * 1.1;
    if (tooMany <= 0) return;
    this.times.splice(0, tooMany);
    for (const column of this.columns) column.splice(0, tooMany);
  }
}
