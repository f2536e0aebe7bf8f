// Recent events: the newest on top, by type and by any word.
import { byId, h, write } from "./dom";
import { clock, count } from "./format";
import { table } from "./panels";
import type { SluiceEvent } from "./types";

const kept = 400, shown = 60;
const filters: [string, string, (type: string) => boolean][] = [
  ["trouble", "Trouble", (t) => t !== "accepted" && t !== "delivered"], ["all", "All", () => true],
  ["delivered", "Delivered", (t) => t === "delivered"], ["deferred", "Deferred", (t) => t === "deferred"],
  ["bounced", "Bounced", (t) => t === "bounced" || t === "expired"],
];

function words(e: SluiceEvent): string {
  const reply = [e.code ? String(e.code) : "", e.enhanced ?? "", e.reply ?? ""].filter(Boolean).join(" ");
  return reply || (e.type === "accepted" ? e.campaign ?? "" : e.bounce_class ?? "");
}

export class EventsPanel {
  private events: SluiceEvent[] = [];
  private newest = 0;
  private filter = "all";
  private text = "";
  private paused = false;
  private readonly rows = new Map<number, HTMLElement>();
  private readonly body: HTMLElement;
  private readonly empty = h("p", { class: "empty" }, "No events yet.");
  private readonly note = h("p", { class: "note", "aria-live": "polite" });

  constructor(private readonly open: (delivery: string) => void) {
    const buttons = filters.map(([name, title]) => h("button", { type: "button", "data-filter": name, "aria-pressed": String(name === this.filter), onclick: () => {
      this.filter = name;
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset["filter"] === name));
      this.draw();
    } }, title));
    const text = h("input", { type: "search", placeholder: "Filter by any word", "aria-label": "Filter events by any word", oninput: () => { this.text = text.value.toLowerCase(); this.draw(); } });
    const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => {
      this.paused = !this.paused;
      pause.setAttribute("aria-pressed", String(this.paused));
      write(pause, this.paused ? "Go on" : "Hold still");
      this.draw();
    } }, "Hold still");
    const { element, body } = table("Recent events", [["Time", "time"], ["What", "text"], ["To", "text"], ["Why", "text why"], ["By", "text rare"]]);
    this.body = body;
    byId("events").append(h("div", { class: "head" }, h("h2", { id: "t-events" }, "Recent events"), h("div", { class: "switch", role: "group", "aria-label": "Which events" }, ...buttons), text, pause, this.note),
                          this.empty, element);
  }

  add(events: SluiceEvent[]): void {
    const fresh = events.filter((e) => e.seq > this.newest);
    if (fresh.length === 0) return;
    this.newest = Math.max(this.newest, ...fresh.map((e) => e.seq));
    this.events = [...fresh.reverse(), ...this.events].slice(0, kept);
    if (!this.paused) this.draw();
  }

  private draw(): void {
    const takes = filters.find(([name]) => name === this.filter)?.[2] ?? (() => true);
    const found = this.events.filter((e) => takes(e.type) && (!this.text || JSON.stringify(e).toLowerCase().includes(this.text))).slice(0, shown);
    const wanted = new Set(found.map((e) => e.seq));
    for (const [seq, row] of this.rows) {
      if (wanted.has(seq)) continue;
      row.remove();
      this.rows.delete(seq);
    }
    let place = this.body.firstElementChild;
    for (const e of found) {
      let row = this.rows.get(e.seq);
      if (!row) this.rows.set(e.seq, row = this.row(e));
      if (row === place) place = place.nextElementSibling;
      else this.body.insertBefore(row, place);
    }
    this.empty.hidden = found.length > 0;
    write(this.empty, this.events.length === 0 ? "No events yet." : "None of the recent ones fits.");
    write(this.note, this.paused ? "held still" : this.filter !== "all" || this.text ? `${count(found.length)} of the recent ${count(this.events.length)}` : "a sample; the feed at /v1/events has all");
  }

  private row(e: SluiceEvent): HTMLElement {
    return h("tr", {}, h("td", { class: "time num" }, clock(e.time)), h("td", {}, h("span", { class: `tag ${e.type}` }, e.type)),
             h("td", {}, h("button", { type: "button", class: "link", "aria-label": `Story of the delivery to ${e.to ?? ""}`, onclick: () => this.open(e.delivery) }, e.to ?? e.delivery)),
             h("td", { class: "why", title: words(e) }, words(e)), h("td", { class: "rare" }, e.mx ?? ""));
  }
}
