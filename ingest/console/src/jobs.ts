// Jobs with their progress, and what holds mail back: pause, resume, cancel, each with a reason and the count first.
import { ApiError, ask } from "./api";
import { byId, h, part, Rows, share, write } from "./dom";
import { count, fromNow, plural, rate, when } from "./format";
import { table } from "./panels";
import type { Job, Suspension } from "./types";

export type OrderKind = "pause" | "cancel";
export interface Reach { [name: string]: string | boolean }
const reachNames = ["tenant", "campaign", "domain", "class", "provider", "site", "source", "recipient", "job"] as const;

export function reachWords(reach: object): string {
  const named = reachNames.flatMap((name) => name in reach ? [`${name} ${String((reach as Record<string, unknown>)[name]) || "(none)"}`] : []);
  return named.join(", ") || "all mail";
}

export class JobsPanel {
  private readonly rows: Rows<Job>;
  private readonly empty = h("p", { class: "empty" }, "No jobs yet. POST /v1/messages begins one.");

  constructor(open: (job: string) => void, order: (kind: OrderKind, reach: Reach) => void) {
    const { element, body } = table("Jobs", [["Job", "text"], ["Campaign", "text"], ["Recipients", "number"], ["Progress", "bar"], ["Bounced", "number rare"], ["Rate", "number rare"], ["Done", "number"], ["", "actions"]]);
    this.rows = new Rows(body, (j) => j.job,
      (j) => h("tr", {}, h("th", { scope: "row" }, h("button", { type: "button", class: "link", onclick: () => open(j.job) }, j.job)),
               h("td", { class: "text" }, j.campaign ?? "", h("span", { class: "note" }, j.tenant === "default" ? "" : ` ${j.tenant}`)),
               h("td", { class: "number", "data-part": "accepted" }),
               h("td", { class: "bar" }, h("span", { class: "meter two", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": `Progress of ${j.job}`, "data-part": "meter" }), h("span", { class: "num note", "data-part": "share" })),
               h("td", { class: "number rare", "data-part": "bounced" }), h("td", { class: "number rare", "data-part": "rate" }), h("td", { class: "number", "data-part": "done" }),
               h("td", { class: "actions" }, h("button", { type: "button", "data-part": "pause", "aria-label": `Pause campaign ${j.campaign ?? ""}`, hidden: true, onclick: () => order("pause", { tenant: j.tenant, campaign: j.campaign ?? "" }) }, "Pause"),
                 h("button", { type: "button", class: "danger", "data-part": "cancel", "aria-label": `Cancel job ${j.job}`, hidden: true, onclick: () => order("cancel", { job: j.job }) }, "Cancel"))),
      (row, j) => {
        const ended = j.accepted - j.open;
        write(part(row, "accepted"), count(j.accepted));
        const done = j.accepted > 0 ? ended / j.accepted : 0;
        share(part(row, "meter"), "--share", j.accepted > 0 ? j.delivered / j.accepted : 0);
        share(part(row, "meter"), "--second", done);
        part(row, "meter").setAttribute("aria-valuenow", (100 * done).toFixed(0));
        write(part(row, "share"), `${(100 * done).toFixed(done < 1 && done > 0.99 ? 1 : 0)} %`);
        write(part(row, "bounced"), count(j.bounced));
        write(part(row, "rate"), `${rate(j.rate_per_second)}/s`);
        write(part(row, "done"), j.finished ? when(j.finished) : j.estimated_finish ? fromNow(j.estimated_finish) : "–");
        part(row, "pause").hidden = part(row, "cancel").hidden = j.finished !== undefined;
      });
    byId("jobs").append(h("div", { class: "head" }, h("h2", { id: "t-jobs" }, "Jobs")), this.empty, element);
  }

  show(jobs: Job[]): void {
    this.empty.hidden = jobs.length > 0;
    this.rows.show(jobs);
  }
}

export class HoldsPanel {
  private readonly host = byId("holds");
  private readonly rows: Rows<Suspension>;

  constructor(resume: (suspension: Suspension) => void) {
    const { element, body } = table("Held back", [["What", "text"], ["Held", "number"], ["Reason", "text"], ["Until", "number"], ["", "actions"]]);
    this.rows = new Rows(body, (s) => s.suspension,
      (s) => h("tr", {}, h("th", { scope: "row" }, reachWords(s)), h("td", { class: "number", "data-part": "held" }), h("td", { class: "text why" }, s.reason ?? ""),
               h("td", { class: "number" }, s.until ? when(s.until) : "resumed"), h("td", { class: "actions" }, h("button", { type: "button", "aria-label": `Resume ${reachWords(s)}`, onclick: () => resume(s) }, "Resume"))),
      (row, s) => write(part(row, "held"), s.route?.length ? `sent by ${s.route.join(", ")}` : s.held === undefined ? "" : count(s.held)));
    this.host.append(h("div", { class: "head" }, h("h2", { id: "t-holds" }, "Held back by operators")), element);
  }

  show(suspensions: Suspension[]): void {
    this.host.hidden = suspensions.length === 0;
    this.rows.show(suspensions);
  }
}

/** Asks what and why, shows how many deliveries it is about, and only then does it. */
export class OrderDialog {
  private readonly dialog = byId<HTMLDialogElement>("order");

  constructor(private readonly done: (what: string) => void) {}

  /** `names`: what may be named, beside all mail. */
  open(kind: OrderKind, names: readonly string[], fixed?: Reach): void {
    const what = h("select", { id: "order-what" }, ...["all", ...names].map((n) => h("option", { value: n }, n === "all" ? "all mail" : n)));
    const name = h("input", { id: "order-name", autocomplete: "off", maxlength: "256" });
    const reason = h("input", { id: "order-reason", autocomplete: "off", maxlength: "200", required: true });
    const lasts = h("select", { id: "order-for" }, ...[["", "until resumed"], ["15m", "15 minutes"], ["1h", "an hour"], ["4h", "4 hours"], ["1d", "a day"]].map(([value, text]) => h("option", { value: value ?? "" }, text ?? "")));
    const counted = h("p", { class: "now", role: "status" }, "");
    const go = h("button", { type: "submit", class: kind === "cancel" ? "danger" : "primary" }, kind === "cancel" ? "Cancel them" : "Pause them");
    const reach = (): Reach => fixed ?? (what.value === "all" ? { all: true } : { [what.value]: name.value });
    const body = (): Record<string, unknown> => {
      const { job, ...rest } = reach();
      return { ...(job === undefined ? rest : {}), ...(reason.value ? { reason: reason.value } : {}), ...(kind === "pause" && lasts.value ? { for: lasts.value } : {}) };
    };
    const path = (): string => kind === "pause" ? "/v1/suspensions" : fixed?.["job"] ? `/v1/jobs/${String(fixed["job"])}/cancel` : "/v1/cancellations";
    let asked = 0;
    const look = async (): Promise<void> => {
      const mine = ++asked;
      try {
        const answer = await ask<{ deliveries: number }>(`${path()}?dry_run=true`, "POST", body());
        if (mine === asked) write(counted, `${plural(answer.deliveries, "open delivery", "open deliveries")} of ${reachWords(reach())}.`);
      } catch (failed) {
        if (mine === asked) write(counted, `${(failed as ApiError).message}.`);
      }
    };
    let soon = 0;  // counting costs the daemon something: not at each letter
    name.addEventListener("input", () => { clearTimeout(soon); soon = window.setTimeout(() => void look(), 300); });
    what.addEventListener("change", () => { name.hidden = what.value === "all"; void look(); });
    name.hidden = true;
    const form = h("form", { method: "dialog", onsubmit: (event) => {
      event.preventDefault();
      go.disabled = true;
      ask<{ deliveries?: number }>(`${path()}?count=true`, "POST", body()).then((answer) => {
        this.dialog.close();
        this.done(`${kind === "pause" ? "Paused" : "Cancelled"} ${reachWords(reach())}: ${plural(answer.deliveries ?? 0, "delivery", "deliveries")}.`);
      }, (failed: ApiError) => { go.disabled = false; write(counted, `${failed.message}. ${failed.hint}`); });
    } },
      fixed ? h("p", {}, reachWords(fixed)) : h("p", { class: "field" }, h("label", { for: "order-what" }, "What"), what, name),
      h("p", { class: "field" }, h("label", { for: "order-reason" }, "Why"), reason),
      kind === "pause" ? h("p", { class: "field" }, h("label", { for: "order-for" }, "How long"), lasts) : null,
      counted, h("p", { class: "buttons" }, h("button", { type: "button", onclick: () => this.dialog.close() }, "Leave it"), go));
    name.setAttribute("aria-label", "Its name");
    this.dialog.replaceChildren(h("h2", { id: "order-title" }, kind === "pause" ? "Pause mail" : "Cancel mail"),
      h("p", { class: "note" }, kind === "pause" ? "It stays in the queue and goes on when it is resumed." : "It ends with a cancelled event each. This cannot be undone."), form);
    this.dialog.showModal();
    reason.focus();
    void look();
  }
}
