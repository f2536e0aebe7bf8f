// Numbers and times for people, always in as many characters as they need and no more.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function count(n: number): string {
  return whole.format(n);
}

/** A rate: 12,345 or 3.4 or 0. */
export function rate(n: number): string {
  if (n === 0) return "0";
  return n < 9.95 ? n.toFixed(1) : whole.format(n);
}

export function seconds(s: number): string {
  if (s < 0.0995) return `${Math.max(s * 1000, 0).toFixed(s < 0.00995 ? 1 : 0)} ms`;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 119.5) return `${s.toFixed(0)} s`;
  if (s < 7170) return `${(s / 60).toFixed(0)} min`;
  if (s < 171_000) return `${(s / 3600).toFixed(1)} h`;
  return `${(s / 86400).toFixed(1)} d`;
}

export function bytes(n: number): string {
  for (const unit of ["B", "KiB", "MiB", "GiB", "TiB"]) {
    if (n < 1023.5 || unit === "TiB") return `${n < 9.95 && unit !== "B" ? n.toFixed(1) : n.toFixed(0)} ${unit}`;
    n /= 1024;
  }
  return "";
}

const clockTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayTime = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export function clock(time: string | Date): string {
  return clockTime.format(new Date(time));
}

/** The time of today, or day and time. */
export function when(time: string): string {
  const at = new Date(time), now = new Date();
  return at.toDateString() === now.toDateString() ? clockTime.format(at) : dayTime.format(at);
}

export function fromNow(time: string): string {
  const s = (new Date(time).getTime() - Date.now()) / 1000;
  return s >= 0 ? `in ${seconds(s)}` : `${seconds(-s)} ago`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
