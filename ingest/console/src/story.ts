// A message's story: what became of one delivery, in sentences, and what it waits for.
import { ApiError, ask } from "./api";
import { byId, h } from "./dom";
import { fromNow, seconds, when } from "./format";
import type { SluiceEvent, Story, Site } from "./types";
import { heldBy } from "./limits";

function said(e: SluiceEvent): string {
  const reply = [e.code ? String(e.code) : "", e.enhanced ?? "", e.reply ?? ""].filter(Boolean).join(" ");
  return reply ? `: “${reply}”` : "";
}

function where(e: SluiceEvent): string {
  if (!e.mx) return e.stage ? ` at ${e.stage}` : "";
  return ` by ${e.mx}${e.ip ? ` [${e.ip}]` : ""}${e.stage ? ` at ${e.stage}` : ""}`;
}

export function sentence(e: SluiceEvent): string {
  switch (e.type) {
    case "accepted":
      return `Accepted from ${e.from || "the null sender"}${e.campaign ? ` for campaign ${e.campaign}` : ""}${e.tenant ? ` of ${e.tenant}` : ""}.`;
    case "delivered":
      return `Delivered${where(e)}${e.smtp_ms ? ` in ${seconds(e.smtp_ms / 1000)}` : ""}${said(e)}${e.tls ? `, over ${e.tls}` : ", without TLS"}.`;
    case "deferred":
      return `Put off at attempt ${e.attempt ?? 1}${where(e)}${said(e)}${e.next_attempt ? `; again ${when(e.next_attempt)}` : ""}.${e.in_doubt ? " It may have been taken all the same: the next attempt can make a duplicate." : ""}`;
    case "bounced":
      return `Bounced${where(e)}${said(e)}${e.bounce_class ? ` (${e.bounce_class.replaceAll("_", " ")}${e.bounce_kind ? `, ${e.bounce_kind}` : ""})` : ""}.`;
    case "expired":
      return `Given up because its time was over${said(e)}.`;
    case "cancelled":
      return `Cancelled${said(e)}.`;
    default:
      return `${e.type}${where(e)}${said(e)}.`;
  }
}

/** What an open delivery waits for. */
async function waitsFor(last: SluiceEvent): Promise<string> {
  if (last.next_attempt && new Date(last.next_attempt).getTime() > Date.now()) return `It is tried again ${fromNow(last.next_attempt)}.`;
  if (!last.site) return "It is due and has not been tried: its domain's queue or route is at work, or it is held back.";
  try {
    const site = await ask<Site>(`/v1/sites/${encodeURIComponent(last.site)}`);
    if (!site.limit) return `It is due, and nothing holds ${last.site} back: it will be tried at once.`;
    return `It is due; ${last.site} is held back by ${heldBy(site)}${site.limited_for_seconds === undefined ? "" : ` for ${seconds(site.limited_for_seconds)} more`}.`;
  } catch {
    return "It is due.";
  }
}

export class StoryDialog {
  private readonly dialog = byId<HTMLDialogElement>("story");

  constructor() {
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
    this.dialog.addEventListener("close", () => { if (location.hash) history.replaceState(null, "", location.pathname); });
  }

  /** A delivery's id, a job's, or an address. */
  async open(text: string): Promise<void> {
    text = text.trim();
    if (!text) return;
    history.replaceState(null, "", `#${encodeURIComponent(text)}`);
    this.show(text, h("p", { class: "empty" }, "Looking …"));
    try {
      if (text.includes("@")) await this.address(text);
      else if (text.includes("-")) await this.delivery(text);
      else await this.job(text);
    } catch (failed) {
      const error = failed as ApiError;
      this.show(text, h("p", { class: "failed" }, `${error.message}.`), h("p", { class: "note" }, error.hint ?? ""));
    }
  }

  private async address(to: string): Promise<void> {
    const found = await ask<{ deliveries: { delivery: string; state: string; last_event: SluiceEvent }[]; before?: number }>(`/v1/deliveries?to=${encodeURIComponent(to)}`);
    const first = found.deliveries[0];
    if (!first) {
      this.show(to, h("p", { class: "empty" }, found.before ? "None in the 200,000 newest events." : "Nothing is known of this address. Events are forgotten after some days."));
      return;
    }
    if (found.deliveries.length === 1) return this.delivery(first.delivery);
    this.show(to, h("ol", { class: "story" }, ...found.deliveries.map((d) => h("li", {},
      h("span", { class: "num note" }, when(d.last_event.time)), h("span", { class: `tag ${d.state}` }, d.state),
      h("button", { type: "button", class: "link", onclick: () => void this.open(d.delivery) }, d.delivery), h("span", { class: "note" }, d.last_event.campaign ?? "")))));
  }

  private async delivery(id: string): Promise<void> {
    const story = await ask<Story>(`/v1/deliveries/${encodeURIComponent(id)}`);
    const last = story.events.at(-1);
    const now = story.state === "open" && last ? h("p", { class: "now" }, await waitsFor(last)) : null;
    this.show(story.to, h("p", {}, h("span", { class: `tag ${story.state}` }, story.state), " ", h("code", {}, story.delivery)),
      h("ol", { class: "story" }, ...story.events.map((e) => h("li", {}, h("span", { class: "num note" }, when(e.time)), h("span", { class: `tag ${e.type}` }, e.type), h("span", {}, sentence(e))))), now);
  }

  private async job(id: string): Promise<void> {
    const job = await ask<Record<string, string | number | boolean>>(`/v1/jobs/${encodeURIComponent(id)}`);
    this.show(`Job ${id}`, h("dl", { class: "facts" }, ...Object.entries(job).flatMap(([name, value]) => [
      h("dt", {}, name.replaceAll("_", " ")), h("dd", { class: "num" }, typeof value === "number" ? (Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(1)) : String(value))])));
  }

  private show(title: string, ...content: (HTMLElement | null)[]): void {
    this.dialog.replaceChildren(h("div", { class: "head" }, h("h2", { id: "story-title" }, title),
      h("button", { type: "button", "aria-label": "Close", onclick: () => this.dialog.close() }, "Close")), ...content.filter((c) => c !== null));
    if (!this.dialog.open) this.dialog.showModal();
  }
}
