// The console as somebody uses it, against a real engine under load. run.py starts both and gives the address.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Looker } from "./look.mjs";

const url = process.env.SLUICE_CONSOLE, origin = new URL(url).origin;
const number = (text) => Number(text.replaceAll(",", "").replace(/[^\d.]/g, ""));
const get = async (path) => (await fetch(origin + path)).json();

/** Until a condition holds in the page. */
const until = (page, condition, argument) => page.waitForFunction(condition, argument, { timeout: 15_000, polling: 200 });

describe("the console", () => {
  let looker, page;
  before(async () => {
    looker = await new Looker().start({ origin });
    page = looker.page;
    await page.goto(url);
  });
  after(() => looker.end());

  it("shows numbers that live, and that the daemon has", async () => {
    await until(page, () => document.querySelector("#state").textContent === "live");
    await until(page, () => Number(document.querySelector(".tile.delivered .value .num").textContent.replaceAll(",", "")) > 0);
    const first = await page.locator(".tile.accepted .note").textContent();
    await until(page, (text) => document.querySelector(".tile.accepted .note").textContent !== text, first);
    const status = await get("/v1/status");
    const shown = number(await page.locator(".tile.accepted .note").textContent());
    assert.ok(shown > 0 && shown <= status.accepted, `${shown} of ${status.accepted}`);
    assert.match(await page.locator("#rates").getAttribute("aria-label"), /delivered [\d.,]+\/s/);
    assert.equal(await page.locator("#node").textContent(), "out1.demo.test");
  });

  it("shows the queue, providers with what holds them back, bounces and jobs", async () => {
    await until(page, () => document.querySelectorAll("#jobs tbody tr").length > 0);
    await until(page, () => [...document.querySelectorAll("#providers th[scope=row]")].some((e) => e.textContent === "slowpost"));
    await until(page, () => document.querySelectorAll("#bounces li").length > 0);
    await until(page, () => document.querySelector("#queue .ages").children.length === 10);
    const job = page.locator("#jobs tbody tr", { hasText: "big-one" });
    await job.waitFor();
    const bar = job.locator("[role=progressbar]");
    assert.match(await bar.getAttribute("aria-valuenow"), /^\d+$/);
    await until(page, () => /the rate|connection/.test(document.querySelector("#providers tbody").textContent));
    await until(page, () => document.querySelector("#providers").textContent.includes("provider thriftpost: 3/s messages in all"));
  });

  it("shows sites that needed more than one shard, and why", async () => {
    assert.ok(await page.locator("#spread").isHidden());
    await page.route("**/v1/sites?*", async (route) => {
      const response = await route.fetch(), json = await response.json();
      json.sites[0].shards = 2;
      json.sites[1].spread_ended = "a host complains";
      await route.fulfill({ response, json });
    });
    await until(page, () => document.querySelectorAll("#spread tbody tr").length === 2);
    await page.locator("#spread").getByText("all 2 shards send to it, because one was too busy").waitFor();
    await page.locator("#spread").getByText("one shard sends to it again: a host complains").waitFor();
    await page.unroute("**/v1/sites?*");
    await until(page, () => document.querySelector("#spread").hidden);
  });

  it("filters events by type and by any word", async () => {
    await until(page, () => document.querySelectorAll("#events tbody tr").length > 5);
    await page.getByRole("button", { name: "Bounced", exact: true }).click();
    await until(page, () => {
      const tags = [...document.querySelectorAll("#events .tag")].map((e) => e.textContent);
      return tags.length > 0 && tags.every((tag) => tag === "bounced" || tag === "expired");
    });
    await page.getByLabel("Filter events by any word").fill("nothing-has-this-word");
    await page.getByText("None of the recent ones fits.").waitFor();
    await page.getByLabel("Filter events by any word").fill("");
    await page.getByRole("button", { name: "All", exact: true }).click();
  });

  it("pauses with a reason and the count first, shows what is held and resumes it", async () => {
    await page.getByRole("button", { name: "Pause…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText(/\d+ open deliver(y|ies) of all mail\./).waitFor();
    await dialog.getByLabel("What").selectOption("campaign");
    await dialog.getByLabel("Its name").fill("winter-sale");
    await dialog.getByText(/\d+ open deliver(y|ies) of campaign winter-sale\./).waitFor();
    await dialog.getByLabel("Why").fill("wrong price");
    await dialog.getByRole("button", { name: "Pause them" }).click();
    const held = page.locator("#holds tbody tr", { hasText: "campaign winter-sale" });
    await held.getByText("wrong price").waitFor();
    const { suspensions } = await get("/v1/suspensions");
    assert.deepEqual(suspensions.map((s) => [s.campaign, s.reason]), [["winter-sale", "wrong price"]]);
    await until(page, () => Number(document.querySelector("#holds [data-part=held]")?.textContent.replaceAll(",", "")) > 0);
    await held.getByRole("button", { name: "Resume campaign winter-sale" }).click();
    await until(page, () => document.querySelector("#holds").hidden);
    assert.deepEqual((await get("/v1/suspensions")).suspensions, []);
  });

  it("cancels a job with a reason, after it has said how much that is", async () => {
    const row = page.locator("#jobs tbody tr", { hasText: "big-one" }), id = await row.locator("th").textContent();
    await row.getByRole("button", { name: `Cancel job ${id}` }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText(new RegExp(`\\d+ open deliveries of job ${id}\\.`)).waitFor();
    assert.equal((await get(`/v1/jobs/${id}`)).cancelled, 0);
    await dialog.getByLabel("Why").fill("sent twice");
    await dialog.getByRole("button", { name: "Cancel them" }).click();
    await page.getByText(new RegExp(`^Cancelled job ${id}: [\\d,]+ deliver`)).waitFor();
    for (let tries = 0; tries < 50 && (await get(`/v1/jobs/${id}`)).open > 0; ++tries) await page.waitForTimeout(200);
    const job = await get(`/v1/jobs/${id}`);
    assert.ok(job.open === 0 && job.cancelled > 2000, JSON.stringify(job));
  });

  it("tells a message's story by address and by id", async () => {
    const id = process.env.SLUICE_STORY_JOB + "-0";
    await page.getByRole("searchbox", { name: "A delivery, a job or an address" }).fill("story@d7.demo.test");
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog");
    await dialog.getByText(id).waitFor();
    await dialog.getByText(/^Accepted from bounce@news\.demo\.test for campaign story/).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("searchbox", { name: "A delivery, a job or an address" }).fill(id);
    await page.keyboard.press("Enter");
    await dialog.getByRole("heading", { name: "story@d7.demo.test" }).waitFor();
    await dialog.getByRole("button", { name: "Close" }).click();
    await page.getByRole("searchbox", { name: "A delivery, a job or an address" }).fill("nobody@nowhere.test");
    await page.keyboard.press("Enter");
    await dialog.getByText("Nothing is known of this address").waitFor();
    await page.keyboard.press("Escape");
  });

  it("can be used by keyboard, and every control has a name", async () => {
    await page.keyboard.press("Tab");
    const nameless = await page.evaluate(() => [...document.querySelectorAll("button, input, select, a, [role=img], [role=progressbar]")]
      .filter((e) => e.offsetParent !== null && !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML.slice(0, 120)));
    assert.deepEqual(nameless, []);
    const tables = await page.evaluate(() => [...document.querySelectorAll("table")].filter((t) => !t.caption).length);
    assert.equal(tables, 0);
  });

  it("looks at nothing from elsewhere, breaks no policy and complains of nothing", async () => {
    assert.deepEqual(looker.foreign, []);
    assert.deepEqual(await looker.violations(), []);
    assert.deepEqual(looker.complaints, []);
  });
});

describe("the console's sizes and colours", () => {
  for (const [width, dark] of [[1280, false], [1280, true], [390, false], [390, true]]) {
    it(`fits ${width} px in ${dark ? "dark" : "light"}`, async () => {
      const looker = await new Looker().start({ width, dark, origin });
      try {
        await looker.page.goto(url);
        await until(looker.page, () => document.querySelector("#state").textContent === "live");
        await until(looker.page, () => document.querySelectorAll("#events tbody tr").length > 0);
        const { overflow, back } = await looker.page.evaluate(() => ({
          overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          back: getComputedStyle(document.body).backgroundColor }));
        assert.ok(overflow <= 0, `${overflow} px beyond the right edge`);
        assert.equal(back, dark ? "rgb(16, 19, 22)" : "rgb(246, 246, 244)");
        assert.deepEqual(looker.complaints, []);
      } finally {
        await looker.end();
      }
    });
  }
});

describe("the console's words to somebody who may not look", () => {
  it("asks for a key, takes a tenant's and shows the tenant's alone", async () => {
    const guarded = process.env.SLUICE_GUARDED, origin = new URL(guarded).origin;
    const looker = await new Looker().start({ origin });
    try {
      await looker.page.goto(guarded);
      const dialog = looker.page.getByRole("dialog");
      await dialog.getByText("An API key is needed here.").waitFor();
      await dialog.getByLabel("Key").fill("no such key");
      await dialog.getByRole("button", { name: "Go on" }).click();
      await dialog.getByText("This API key is no tenant's.").waitFor();
      await dialog.getByLabel("Key").fill(process.env.SLUICE_TENANT_KEY);
      await dialog.getByRole("button", { name: "Go on" }).click();
      await until(looker.page, () => document.querySelector("#state").textContent === "live");
      assert.equal(await looker.page.locator("#providers").isVisible(), false);
      assert.equal(await looker.page.locator(".tile.accepted").isVisible(), true);
    } finally {
      await looker.end();
    }
  });

  it("says when the daemon hangs, keeps what it knew, and comes back with it", async () => {
    const engine = Number(process.env.SLUICE_PID);
    const looker = await new Looker().start({ origin });
    try {
      const { page } = looker;
      await page.goto(url);
      await until(page, () => document.querySelector("#state").textContent === "live");
      await until(page, () => document.querySelectorAll("#events tbody tr").length > 0);
      process.kill(engine, "SIGSTOP");
      await until(page, () => document.querySelector("#state").textContent === "disconnected");
      assert.match(await page.locator("#notice").textContent(), /as of the last word/);
      assert.ok(await page.locator("#events tbody tr").count() > 0);
      assert.equal(await page.evaluate(() => document.body.classList.contains("stale")), true);
      process.kill(engine, "SIGCONT");
      await until(page, () => document.querySelector("#state").textContent === "live");
      assert.equal(await page.locator("#notice").isVisible(), false);
    } finally {
      process.kill(engine, "SIGCONT");
      await looker.end();
    }
  });
});
