// Hands a mail over and waits for what became of it, with Node 18 or newer. Usage: node send.mjs URL FROM TO...
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";

const [url, from, ...recipients] = process.argv.slice(2);
const key = process.env.SLUICE_API_KEY;

// One exchange. 429 and 503 say when to come again.
async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(key && { Authorization: `Bearer ${key}` }) };
  for (;;) {
    const answer = await fetch(url + path, { ...options, headers });
    if (answer.ok) return answer;
    if (answer.status !== 429 && answer.status !== 503) throw new Error(`${answer.status}: ${await answer.text()}`);
    await setTimeout(1000 * Number(answer.headers.get("Retry-After") ?? 1));
  }
}

const job = {
  from,
  campaign: "example",
  class: "transactional",
  content: { from: `Example <${from}>`, subject: "Hello {{name}}", text: "Hi {{name}}, it works.\n" },
  recipients: recipients.map((to) => ({ to, vars: { name: to.split("@")[0] } })),
};
// The same key again within a day gives the same answer and sends nothing twice, so that a lost answer may be asked for.
const submitted = await ask("/v1/messages", {
  method: "POST",
  headers: { "Content-Type": "application/json", "Idempotency-Key": randomUUID() },
  body: JSON.stringify(job),
});
const { job: id, accepted, rejected = [] } = await submitted.json();
for (const { to, message } of rejected) console.log(to, "rejected", message);

// Events come in order; the cursor says how far we have looked. Keep it, and nothing is ever missed.
const ends = "type=delivered,bounced,expired,cancelled,suppressed&campaign=example&wait=10s";
for (let left = accepted, position = "since=5m"; left > 0; ) {
  const answer = await ask(`/v1/events?${position}&${ends}`);
  position = `after=${answer.headers.get("Sluice-Cursor")}`;
  for (const line of (await answer.text()).split("\n").filter(Boolean)) {
    const event = JSON.parse(line);
    if (event.job !== id) continue;
    console.log(event.to, event.type, event.code ?? "", event.reply ?? "");
    left -= 1;
  }
}
