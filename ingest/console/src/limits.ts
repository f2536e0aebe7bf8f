// What holds mail back, and what sends it, in words.
import type { Site } from "./types";

const ofASite: Record<string, string> = {
  reply: "a host said that we are too fast", unreachable: "no connection could be opened", connections: "every connection is in use",
  rate: "the rate", connection_rate: "connections are opened no faster", learned_rate: "no faster than its hosts take mail",
  learned_connections: "no more connections than its hosts take", rest: "every source rests",
  warmup: "its sources have sent what they may today", suspended: "an operator holds it",
};

/** Over all sites: the API says "provider_rate", "pool_day". */
const inAll: Record<string, string> = {
  connections: "connections in all", connection_rate: "rate of connections in all", rate: "rate in all",
  hour: "messages of this hour are used up", day: "messages of today are used up",
};

function totalWords(limit: string): string | undefined {
  const [, whose, what] = /^(provider|source|pool|tenant|node)_(.*)$/.exec(limit) ?? [];
  const words = inAll[what ?? ""];
  if (!words) return undefined;
  return whose === "node" ? `this node's ${words}` : `the ${whose}'s ${words}`;
}

export function limitWords(limit: string): string {
  return totalWords(limit) ?? ofASite[limit] ?? limit;
}

/** Of a site; a total is named with its owner, which the engine knows. */
export function heldBy(site: Site): string {
  if (!site.limit) return "";
  return (totalWords(site.limit) && site.limit_reason) || limitWords(site.limit);
}

/** Of a site that all shards send to, or did so a moment ago. */
export function shardsOf(site: Site): string {
  if (site.shards > 1) return `all ${site.shards} shards send to it, because one was too busy`;
  return site.spread_ended ? `one shard sends to it again: ${site.spread_ended}` : "";
}
