// What the API answers.

export interface Counts {
  accepted: number; open: number; delivered: number; bounced: number; expired: number;
  cancelled: number; suppressed: number; deferrals: number;
}

export interface SluiceEvent {
  seq: number; id: string; type: string; time: string; job: string; delivery: string;
  tenant?: string; campaign?: string; class: string; from?: string; to?: string; domain?: string;
  site?: string; provider?: string; mx?: string; ip?: string; source?: string; attempt?: number;
  stage?: string; code?: number; enhanced?: string; reply?: string;
  bounce_class?: string; bounce_kind?: string; next_attempt?: string;
  queue_ms?: number; smtp_ms?: number; tls?: string; in_doubt?: boolean;
}

export interface Snapshot {
  time: string; number: number; node: string; version: string; state: string; refusal?: string;
  totals: Counts;
  rates: Record<"accepted" | "delivered" | "deferred" | "bounced" | "expired" | "cancelled" | "suppressed", number>;
  queue?: { scheduled: number; ready: number; sending: number; oldest_seconds: number; bytes: number; free_bytes: number };
  latency?: { messages: number; seconds: number; p50: number; p90: number; p99: number };
  connections?: Record<string, number>;
  providers?: { provider: string; delivered: number; deferred: number; bounced: number; busy: number; idle: number; throttled_seconds: number }[];
  bounce_classes?: { class: string; total: number; rate: number }[];
  shards_busy?: number[];
  events: SluiceEvent[];
}

/** What was before one began to look: seconds since 1970, and rates. */
export interface Past { times: number[]; accepted: number[]; delivered: number[]; deferred: number[]; bounced: number[] }

export interface Queues {
  waiting: number; sending: number; domains_count: number; domains_partly_on_disk: number; oldest_seconds?: number;
  age_bounds_seconds: number[]; ages: number[]; whole: boolean;
  domains: { domain: string; waiting: number; sending: number; queues: number; rows_on_disk?: number;
             rows_on_disk_exact?: boolean; oldest_seconds?: number; next_due?: string; ages: number[] }[];
}

export interface Provider {
  provider: string; sites: number; ready: number; sending: number; connections_busy: number; connections_idle: number;
  connections_opening: number; connections_max_per_site?: number; rate_max_per_site?: number;
  messages_per_connection?: number; sites_limited: number; limits: Record<string, number>;
}

export interface Site {
  site: string; provider: string; ready: number; sending: number; connections: number; connections_busy: number;
  connections_idle: number; connections_opening: number; connections_max: number; rate_max: number;
  shards: number; spread_ended?: string; limit?: string; limit_reason?: string; limited_for_seconds?: number;
}

export interface Job extends Counts {
  job: string; tenant: string; campaign?: string; class: string; from: string; created: string; complete: boolean;
  rate_per_second: number; finished?: string; estimated_finish?: string;
}

export interface Story { delivery: string; to: string; state: string; events: SluiceEvent[] }

export interface Suspension {
  suspension: string; since: string; reason?: string; until?: string; held?: number; route?: string[];
  tenant?: string; campaign?: string; domain?: string; class?: string; provider?: string; site?: string; source?: string; all?: boolean;
}
