// The parts of the page that the snapshots fill: tiles, queue, providers, bounces.
import { byId, h, part, Rows, share, write } from "./dom";
import { bytes, count, plural, rate, seconds } from "./format";
import { heldBy, limitWords, shardsOf } from "./limits";
import type { Provider, Queues, Site, Snapshot } from "./types";

interface Tile { name: string; title: string; unit?: string; operators?: boolean }
const tiles: Tile[] = [
  { name: "delivered", title: "Delivered", unit: "/s" }, { name: "accepted", title: "Accepted", unit: "/s" },
  { name: "deferred", title: "Deferred", unit: "/s" }, { name: "bounced", title: "Bounced", unit: "/s" },
  { name: "open", title: "Open" }, { name: "p50", title: "Median latency", operators: true },
  { name: "connections", title: "Connections", operators: true }, { name: "shards", title: "Shards busy", operators: true },
];

export class Tiles {
  private readonly values = new Map<string, HTMLElement>();
  private readonly notes = new Map<string, HTMLElement>();

  constructor() {
    byId("tiles").append(...tiles.map((tile) => {
      const value = h("span", { class: "num" }, "–"), note = h("p", { class: "note num" }, " ");
      this.values.set(tile.name, value);
      this.notes.set(tile.name, note);
      return h("div", { class: `tile ${tile.name}${tile.operators ? " operators" : ""}` }, h("h2", {}, tile.title),
               h("p", { class: "value" }, value, tile.unit ? h("span", { class: "unit" }, tile.unit) : null), note);
    }));
  }

  show(s: Snapshot): void {
    for (const name of ["delivered", "accepted", "deferred", "bounced"] as const) this.set(name, rate(s.rates[name]));
    this.note("delivered", `${count(s.totals.delivered)} in all`);
    this.note("accepted", `${count(s.totals.accepted)} in all`);
    this.note("deferred", `${count(s.totals.deferrals)} in all`);
    const ended = s.totals.delivered + s.totals.bounced;
    this.note("bounced", `${count(s.totals.bounced)}, ${ended > 0 ? (100 * s.totals.bounced / ended).toFixed(1) : "0.0"} %`);
    this.set("open", count(s.totals.open));
    this.note("open", s.queue ? `due for ${seconds(s.queue.oldest_seconds)}` : `${count(s.totals.cancelled)} cancelled`);
    if (s.latency) {
      this.set("p50", s.latency.messages > 0 ? seconds(s.latency.p50) : "–");
      this.note("p50", s.latency.messages > 0 ? `99 % within ${seconds(s.latency.p99)}` : "nothing delivered lately");
    }
    if (s.connections) {
      const busy = s.connections["busy"] ?? 0, idle = s.connections["idle"] ?? 0;
      this.set("connections", count(busy + idle));
      this.note("connections", `${count(busy)} busy, ${count(idle)} idle`);
    }
    if (s.shards_busy) {
      const most = Math.max(0, ...s.shards_busy);
      this.set("shards", `${(100 * most).toFixed(0)} %`);
      this.note("shards", s.queue ? `${bytes(s.queue.free_bytes)} disk free` : plural(s.shards_busy.length, "shard"));
    }
  }

  private set(name: string, text: string): void { const e = this.values.get(name); if (e) write(e, text); }
  private note(name: string, text: string): void { const e = this.notes.get(name); if (e) write(e, text); }
}

function table(caption: string, columns: [string, string][]): { element: HTMLElement; body: HTMLElement } {
  const body = h("tbody", {});
  const head = h("tr", {}, ...columns.map(([title, kind]) => h("th", { scope: "col", class: kind }, title)));
  return { element: h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
                      h("table", {}, h("caption", { class: "hidden" }, caption), h("thead", {}, head), body)), body };
}
export { table };

const states = ["sending", "ready", "scheduled"] as const;

function ageName(bounds: number[], i: number): string {
  const bound = bounds[i];
  return bound === undefined ? `${seconds(bounds.at(-1) ?? 0)} +` : `< ${seconds(bound)}`;
}

function due(time: string): string {
  const left = (new Date(time).getTime() - Date.now()) / 1000;
  return left < 0.5 ? "now" : seconds(left);
}

export class QueuePanel {
  private readonly stateBar: HTMLElement;
  private readonly stateKeys = new Map<string, HTMLElement>();
  private readonly ages: HTMLElement;
  private readonly summary = h("p", { class: "note" });
  private readonly domains: Rows<Queues["domains"][number]>;
  private readonly empty = h("p", { class: "empty" }, "Nothing waits.");
  private most = 1;

  constructor() {
    this.stateBar = h("div", { class: "stack", role: "img" }, ...states.map((s) => h("i", { class: s })));
    const keys = h("div", { class: "legend operators" }, ...states.map((s) => {
      const value = h("span", { class: "num" }, "–");
      this.stateKeys.set(s, value);
      return h("span", { class: "key" }, h("i", { class: `dot ${s}` }), `${s} `, value);
    }));
    this.ages = h("ol", { class: "ages", "aria-label": "Waiting by age" });
    const { element, body } = table("Waiting by recipient domain", [
      ["Domain", "text"], ["Waiting", "number"], ["Sending", "number"], ["Oldest", "number"], ["Next due", "number rare"], ["", "bar"]]);
    this.domains = new Rows(body, (d) => d.domain,
      (d) => h("tr", {}, h("th", { scope: "row" }, d.domain), ...["waiting", "sending", "oldest"].map((p) => h("td", { class: "number", "data-part": p })),
               h("td", { class: "number rare", "data-part": "due" }), h("td", { class: "bar" }, h("i", { class: "meter", "data-part": "bar" }))),
      (row, d) => {
        const all = d.rows_on_disk ?? d.waiting;
        write(part(row, "waiting"), `${d.rows_on_disk_exact === false ? "> " : ""}${count(Math.max(all, d.waiting))}`);
        write(part(row, "sending"), count(d.sending));
        write(part(row, "oldest"), d.oldest_seconds === undefined ? "" : seconds(d.oldest_seconds));
        write(part(row, "due"), d.next_due ? due(d.next_due) : "");
        share(part(row, "bar"), "--share", Math.max(all, d.waiting) / this.most);
      });
    byId("queue").append(h("div", { class: "head" }, h("h2", { id: "t-queue" }, "Queue"), this.summary), keys, h("div", { class: "operators" }, this.stateBar),
                         h("h3", {}, "Waiting by age"), this.ages, this.empty, element);
  }

  showStates(s: Snapshot): void {
    if (!s.queue) return;
    const all = Math.max(states.reduce((sum, state) => sum + (s.queue?.[state] ?? 0), 0), 1);
    states.forEach((state, i) => {
      const value = s.queue?.[state] ?? 0, key = this.stateKeys.get(state), bar = this.stateBar.children[i];
      if (key) write(key, count(value));
      if (bar instanceof HTMLElement) share(bar, "--share", value / all);
    });
    this.stateBar.setAttribute("aria-label", states.map((state) => `${state} ${count(s.queue?.[state] ?? 0)}`).join(", "));
  }

  show(q: Queues): void {
    const bars = Math.max(1, ...q.ages);
    while (this.ages.children.length < q.ages.length) {
      this.ages.append(h("li", {}, h("span", { class: "num", "data-part": "count" }), h("i", { "data-part": "bar" }), h("span", { class: "note", "data-part": "name" })));
    }
    q.ages.forEach((n, i) => {
      const row = this.ages.children[i] as HTMLElement;
      write(part(row, "count"), n === 0 ? "" : count(n));
      write(part(row, "name"), ageName(q.age_bounds_seconds, i));
      share(part(row, "bar"), "--share", n / bars);
    });
    const disk = q.domains_partly_on_disk > 0 ? `; ${plural(q.domains_partly_on_disk, "domain")} longer than memory` : "";
    write(this.summary, q.domains_count === 0 ? "" : `${plural(q.domains_count, "domain")}${disk}`);
    this.most = Math.max(1, ...q.domains.map((d) => Math.max(d.rows_on_disk ?? 0, d.waiting)));
    this.empty.hidden = q.domains.length > 0;
    this.domains.show(q.domains);
  }
}

export class ProvidersPanel {
  private readonly rows: Rows<Provider>;
  private readonly sites: Rows<Site>;
  private readonly empty = h("p", { class: "empty" }, "Nothing was sent yet since the start.");
  private readonly noLimits = h("p", { class: "empty" }, "Nothing is held back.");
  private readonly spread: Rows<Site>;
  private readonly spreadPart: HTMLElement;
  private live = new Map<string, NonNullable<Snapshot["providers"]>[number]>();

  constructor() {
    const providers = table("Providers", [["Provider", "text"], ["Delivered/s", "number"], ["Deferred/s", "number rare"], ["Bounced/s", "number rare"],
                                          ["Waiting", "number"], ["Connections", "bar"], ["Held back by", "text"]]);
    this.rows = new Rows(providers.body, (p) => p.provider,
      (p) => h("tr", {}, h("th", { scope: "row" }, p.provider), h("td", { class: "number", "data-part": "delivered" }),
               h("td", { class: "number rare", "data-part": "deferred" }), h("td", { class: "number rare", "data-part": "bounced" }),
               h("td", { class: "number", "data-part": "ready" }),
               h("td", { class: "bar" }, h("span", { class: "meter two", "data-part": "meter", role: "img" }), h("span", { class: "num note", "data-part": "connections" })),
               h("td", { "data-part": "limit" })),
      (row, p) => this.update(row, p));
    const sites = table("Sites that are held back", [["Site", "text"], ["Provider", "text rare"], ["Waiting", "number"], ["Connections", "number"], ["Held back by", "text"], ["For", "number"]]);
    this.sites = new Rows(sites.body, (s) => s.site,
      (s) => h("tr", {}, h("th", { scope: "row" }, s.site), h("td", { class: "rare" }, s.provider), ...["ready", "connections"].map((p) => h("td", { class: "number", "data-part": p })),
               h("td", { "data-part": "limit" }), h("td", { class: "number", "data-part": "for" })),
      (row, s) => {
        write(part(row, "ready"), count(s.ready));
        write(part(row, "connections"), s.connections_max > 0 ? `${count(s.connections)} of ${count(s.connections_max)}` : count(s.connections));
        write(part(row, "limit"), heldBy(s));
        write(part(row, "for"), s.limited_for_seconds === undefined ? "" : seconds(s.limited_for_seconds));
      });
    const spread = table("Sites that needed more than one shard", [["Site", "text"], ["Provider", "text rare"], ["Waiting", "number"], ["Connections", "number"], ["Sent by", "text"]]);
    this.spread = new Rows(spread.body, (s) => s.site,
      (s) => h("tr", {}, h("th", { scope: "row" }, s.site), h("td", { class: "rare" }, s.provider), ...["ready", "connections"].map((p) => h("td", { class: "number", "data-part": p })),
               h("td", { "data-part": "shards" })),
      (row, s) => {
        write(part(row, "ready"), count(s.ready));
        write(part(row, "connections"), count(s.connections));
        write(part(row, "shards"), shardsOf(s));
      });
    this.spreadPart = h("div", { id: "spread", hidden: true }, h("h3", {}, "Sites that needed more than one shard"), spread.element);
    byId("providers").append(h("div", { class: "head" }, h("h2", { id: "t-providers" }, "Providers and their limits")), this.empty, providers.element,
                             h("h3", {}, "Sites held back now"), this.noLimits, sites.element, this.spreadPart);
  }

  showRates(s: Snapshot): void {
    this.live = new Map((s.providers ?? []).map((p) => [p.provider, p]));
  }

  show(providers: Provider[], sites: Site[]): void {
    this.empty.hidden = providers.length > 0;
    this.rows.show(providers.slice().sort((a, b) => b.ready + b.sending - a.ready - a.sending || a.provider.localeCompare(b.provider)));
    const held = sites.filter((s) => s.limit);
    this.noLimits.hidden = held.length > 0;
    this.sites.show(held.slice(0, 20));
    const spread = sites.filter((s) => shardsOf(s));
    this.spreadPart.hidden = spread.length === 0;
    this.spread.show(spread.slice(0, 20));
  }

  private update(row: HTMLElement, p: Provider): void {
    const live = this.live.get(p.provider);
    for (const name of ["delivered", "deferred", "bounced"] as const) write(part(row, name), live ? rate(live[name]) : "0");
    write(part(row, "ready"), count(p.ready));
    const open = p.connections_busy + p.connections_idle + p.connections_opening;
    const room = (p.connections_max_per_site ?? 0) * Math.max(p.sites, 1);
    share(part(row, "meter"), "--share", room > 0 ? p.connections_busy / room : 0);
    share(part(row, "meter"), "--second", room > 0 ? open / room : 0);
    const of = room > 0 ? ` of ${count(room)}` : "";
    write(part(row, "connections"), `${count(open)}${of}`);
    part(row, "meter").setAttribute("aria-label", `${count(p.connections_busy)} busy, ${count(open)} open${of}`);
    const limits = Object.entries(p.limits).sort((a, b) => b[1] - a[1]).map(([limit, n]) => `${limitWords(limit)}${p.sites > 1 ? ` (${plural(n, "site")})` : ""}`);
    const most = p.rate_max_per_site ? `at most ${rate(p.rate_max_per_site)}/s a site` : "";
    write(part(row, "limit"), limits.join(", ") || most || "nothing");
    part(row, "limit").classList.toggle("quiet", limits.length === 0);
  }
}

export class BouncesPanel {
  private readonly rows: Rows<NonNullable<Snapshot["bounce_classes"]>[number]>;
  private readonly empty = h("p", { class: "empty" }, "No bounces since the start.");
  private most = 1;

  constructor() {
    const list = h("ol", { class: "bars" });
    this.rows = new Rows(list, (b) => b.class,
      (b) => h("li", {}, h("span", { class: "name" }, b.class.replaceAll("_", " ")), h("i", { class: "meter", "data-part": "bar" }),
               h("span", { class: "num", "data-part": "total" }), h("span", { class: "num note", "data-part": "rate" })),
      (row, b) => {
        write(part(row, "total"), count(b.total));
        write(part(row, "rate"), `${rate(b.rate)}/s`);
        share(part(row, "bar"), "--share", b.total / this.most);
      });
    byId("bounces").append(h("div", { class: "head" }, h("h2", { id: "t-bounces" }, "Bounces by class"), h("p", { class: "note" }, "since the start")), this.empty, list);
  }

  show(s: Snapshot): void {
    const classes = (s.bounce_classes ?? []).filter((b) => b.total > 0).sort((a, b) => b.total - a.total).slice(0, 12);
    this.most = Math.max(1, classes[0]?.total ?? 1);
    this.empty.hidden = classes.length > 0;
    this.rows.show(classes);
  }
}
