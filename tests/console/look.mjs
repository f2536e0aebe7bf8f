// Opens a page of the console in Chromium, and remembers everything that a browser complains about.
import { chromium } from "playwright-core";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
               "--disable-component-update", "--disable-sync"];

export class Looker {
  #folder = mkdtempSync(join(tmpdir(), "sluice-chromium-"));
  complaints = [];
  foreign = [];

  async start({ width = 1280, height = 900, dark = false, origin }) {
    this.context = await chromium.launchPersistentContext(this.#folder, {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: words,
      viewport: { width, height }, colorScheme: dark ? "dark" : "light", reducedMotion: "reduce",
    });
    this.page = this.context.pages()[0] ?? await this.context.newPage();
    this.page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.complaints.push(message.text());
    });
    this.page.on("pageerror", (error) => this.complaints.push(String(error)));
    this.page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(origin) && !url.startsWith("data:")) this.foreign.push(url);
    });
    await this.page.addInitScript(() => {
      globalThis.violations = [];
      document.addEventListener("securitypolicyviolation", (event) => globalThis.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    });
    return this;
  }

  violations() { return this.page.evaluate(() => globalThis.violations); }

  async end() {
    await this.context?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
