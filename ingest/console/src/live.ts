// The stream of snapshots: begun again when it breaks, watched for silence, ended when nobody looks.
import { ApiError, openStream } from "./api";
import type { Past, Snapshot } from "./types";

const silenceMax = 6_000;    // then the connection is taken for dead
const retryMax = 10_000;
const hiddenAfter = 60_000;  // a tab in the background costs the daemon nothing

export type Connection =
  | { kind: "connecting" } | { kind: "live" } | { kind: "sleeping" }
  | { kind: "lost"; why: string; retryAt: number } | { kind: "refused"; why: ApiError };

export class Live {
  private end: (() => void) | null = null;
  private failures = 0;
  private lastHeard = 0;
  private retry = 0;
  private sleep = 0;

  constructor(private readonly snapshot: (snapshot: Snapshot) => void, private readonly past: (past: Past) => void,
              private readonly connection: (state: Connection) => void) {
    setInterval(() => this.watch(), 1000);
    document.addEventListener("visibilitychange", () => this.looked());
  }

  start(): void {
    this.stop();
    this.connection({ kind: "connecting" });
    this.lastHeard = Date.now();
    this.end = openStream("/v1/live", {
      message: (name, data) => {
        this.failures = 0;
        this.lastHeard = Date.now();
        if (name === "history") return this.past(JSON.parse(data) as Past);
        this.connection({ kind: "live" });
        this.snapshot(JSON.parse(data) as Snapshot);
      },
      ended: (why) => this.ended(why),
    });
  }

  private stop(): void {
    clearTimeout(this.retry);
    this.end?.();
    this.end = null;
  }

  private ended(why: ApiError | null): void {
    this.end = null;
    if (why && (why.status === 401 || why.status === 403)) {
      this.connection({ kind: "refused", why });
      return;
    }
    this.again(why ? why.message : "the daemon ended the connection");
  }

  private again(why: string): void {
    this.stop();
    const wait = Math.min(1000 * 2 ** this.failures++, retryMax);
    this.connection({ kind: "lost", why, retryAt: Date.now() + wait });
    this.retry = window.setTimeout(() => this.start(), wait);
  }

  private watch(): void {
    if (this.end && Date.now() - this.lastHeard > silenceMax) this.again("the daemon has fallen silent");
  }

  private looked(): void {
    clearTimeout(this.sleep);
    if (!document.hidden) {
      if (!this.end) this.start();
      return;
    }
    this.sleep = window.setTimeout(() => {
      this.stop();
      this.connection({ kind: "sleeping" });
    }, hiddenAfter);
  }
}
