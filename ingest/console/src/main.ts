// The console: wires the stream and the lists to the panels.
import "uplot/dist/uPlot.min.css";
import "./console.css";
import { ApiError, ask, key } from "./api";
import { Chart } from "./chart";
import { byId, h, write } from "./dom";
import { EventsPanel } from "./events";
import { clock, rate, seconds } from "./format";
import { History } from "./history";
import { HoldsPanel, JobsPanel, OrderDialog, reachWords } from "./jobs";
import { Live, type Connection } from "./live";
import { BouncesPanel, ProvidersPanel, QueuePanel, Tiles } from "./panels";
import { StoryDialog } from "./story";
import { theme } from "./theme";
import type { Job, Past, Provider, Queues, Site, Snapshot, Suspension } from "./types";

const listsEvery = 4_000;
const spans: [number, string][] = [[60, "1 min"], [300, "5 min"], [900, "15 min"]];

const rates = new History(4), latency = new History(3);
const rateText = (n: number): string => `${rate(n)}/s`;
const charts = [
  new Chart(byId("rates"), byId("rates-legend"), rates, [
    { name: "delivered", colour: "--delivered", fill: true, show: rateText }, { name: "accepted", colour: "--accepted", show: rateText },
    { name: "deferred", colour: "--deferred", show: rateText }, { name: "bounced", colour: "--bounced", show: rateText }], "Messages a second", rate),
  new Chart(byId("latency"), byId("latency-legend"), latency, [
    { name: "99 %", colour: "--p99", show: seconds }, { name: "90 %", colour: "--p90", show: seconds }, { name: "50 %", colour: "--p50", fill: true, show: seconds }],
    "Acceptance to delivery", seconds),
];
const tiles = new Tiles(), queue = new QueuePanel(), providers = new ProvidersPanel(), bounces = new BouncesPanel();
const story = new StoryDialog();
const events = new EventsPanel((delivery) => void story.open(delivery));
const orders = new OrderDialog((what) => { notice(what, "done"); void lists(); });
const jobs = new JobsPanel((job) => void story.open(job), (kind, reach) => orders.open(kind, [], reach));
const holds = new HoldsPanel((suspension) => void resume(suspension));
const hold = byId<HTMLButtonElement>("hold");
let operator = true, connected = false;

function notice(text: string, kind: "done" | "failed"): void {
  const element = byId("notice");
  element.hidden = !text;
  element.className = `notice ${kind}`;
  write(element, text);
  if (text && kind === "done") setTimeout(() => { if (element.textContent === text) element.hidden = true; }, 8000);
}

function snapshot(s: Snapshot): void {
  operator = s.queue !== undefined;
  document.body.classList.toggle("tenant", !operator);
  write(byId("node"), s.node);
  write(byId("version"), `sluice ${s.version}`);
  write(byId("clock"), `as of ${clock(s.time)}`);
  const time = Math.round(new Date(s.time).getTime() / 1000);
  rates.add(time, [s.rates.delivered, s.rates.accepted, s.rates.deferred, s.rates.bounced]);
  if (s.latency) {
    const l = s.latency, none = l.messages === 0;
    latency.add(time, none ? [null, null, null] : [l.p99, l.p90, l.p50]);
  }
  tiles.show(s);
  queue.showStates(s);
  providers.showRates(s);
  bounces.show(s);
  events.add(s.events);
  for (const chart of charts) chart.show();
  const state = byId("state");
  state.className = `pill ${s.state}`;
  write(state, s.refusal ? `refusing mail: ${s.refusal.replaceAll(".", " ").replaceAll("_", " ")}` : s.state === "accepting" ? "live" : s.state);
}

function past(p: Past): void {
  p.times.forEach((time, i) => rates.add(time, [p.delivered[i] ?? null, p.accepted[i] ?? null, p.deferred[i] ?? null, p.bounced[i] ?? null]));
}

function connection(c: Connection): void {
  const was = connected;
  connected = c.kind === "live";
  // A try to come back changes nothing that is shown: what is old stays marked until there is news.
  if (c.kind === "connecting" && document.body.classList.contains("stale")) return;
  document.body.classList.toggle("stale", c.kind === "lost" || c.kind === "refused");
  if (connected) {
    if (!was) { notice("", "done"); void lists(); }
    return;
  }
  const state = byId("state");
  state.className = `pill ${c.kind === "lost" || c.kind === "refused" ? "lost" : ""}`;
  write(state, c.kind === "lost" ? "disconnected" : c.kind === "refused" ? "no access" : c.kind === "sleeping" ? "asleep" : "connecting");
  if (c.kind === "lost") notice(`${c.why[0]?.toUpperCase()}${c.why.slice(1)}. What you see is as of the last word; the next try comes within ${seconds(Math.max(1, (c.retryAt - Date.now()) / 1000))}.`, "failed");
  if (c.kind === "refused") askForKey(c.why);
}

/** The lists, which cost the daemon more than a snapshot: now and then, and only while somebody looks. */
async function lists(): Promise<void> {
  if (document.hidden || !connected) return;
  try {
    const [q, open, ended, p, s, o] = await Promise.all([
      ask<Queues>("/v1/queues?limit=12"), ask<{ jobs: Job[] }>("/v1/jobs?state=open&sort=open&limit=8"), ask<{ jobs: Job[] }>("/v1/jobs?state=finished&limit=4"),
      operator ? ask<{ providers: Provider[] }>("/v1/providers") : null, operator ? ask<{ sites: Site[] }>("/v1/sites?limit=200") : null,
      ask<{ suspensions: Suspension[] }>("/v1/suspensions")]);
    hold.hidden = false;
    queue.show(q);
    jobs.show([...open.jobs, ...ended.jobs]);
    if (p && s) providers.show(p.providers, s.sites);
    holds.show(o.suspensions);
  } catch (failed) {
    const error = failed as ApiError;
    if (connected) notice(`The lists could not be read: ${error.message}.`, "failed");
  }
}

async function resume(suspension: Suspension): Promise<void> {
  try {
    await ask(`/v1/suspensions/${encodeURIComponent(suspension.suspension)}`, "DELETE");
    notice(`Resumed ${reachWords(suspension)}.`, "done");
  } catch (failed) {
    notice(`${(failed as ApiError).message}.`, "failed");
  }
  void lists();
}

function askForKey(why: ApiError): void {
  const dialog = byId<HTMLDialogElement>("key");
  const input = h("input", { id: "key-text", type: "password", autocomplete: "off", required: true });
  dialog.replaceChildren(h("h2", { id: "key-title" }, "A key, please"),
    h("p", {}, `${why.message[0]?.toUpperCase() ?? ""}${why.message.slice(1)}.`),
    h("p", { class: "note" }, "A tenant's key shows what is the tenant's; the operators' key shows all. It is kept in this tab and nowhere else."),
    h("form", { onsubmit: (event) => { event.preventDefault(); key.set(input.value.trim()); dialog.close(); live.start(); } },
      h("p", { class: "field" }, h("label", { for: "key-text" }, "Key"), input), h("p", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Go on"))));
  if (!dialog.open) dialog.showModal();
}

byId("span").append(...spans.map(([span, title]) => h("button", { type: "button", "aria-pressed": String(span === 300), onclick: (event) => {
  for (const button of byId("span").children) button.setAttribute("aria-pressed", String(button === event.currentTarget));
  for (const chart of charts) chart.show(span);
} }, title)));
byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  void story.open(byId<HTMLInputElement>("search-text").value);
});
hold.addEventListener("click", () => orders.open("pause", operator ? ["campaign", "domain", "tenant", "provider", "site"] : ["campaign", "domain"]));
theme(byId<HTMLButtonElement>("theme"), () => { for (const chart of charts) chart.repaint(); });
const live = new Live(snapshot, past, connection);
live.start();
setInterval(() => void lists(), listsEvery);
if (location.hash.length > 1) void story.open(decodeURIComponent(location.hash.slice(1)));
