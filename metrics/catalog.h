// Every metric that Sluice exposes, declared once: name, help, labels, buckets. Labels are bounded
// by construction: provider (names from the configuration, or "other"), class, outcome, stage,
// code, shard; never an address or a domain. A family shows up on the page when its first series is
// asked for.
#pragma once

#include "metrics/metric.h"

namespace metrics::catalog {

// Seconds. Buckets follow what the thing can plausibly take: a synced write is tenths of a
// millisecond on a good disk and tens of seconds on a broken one; a delivery may take days.
inline constexpr double ack_seconds[] = {.0002, .0005, .001, .002, .005, .01, .02, .05,
                                         .1,    .2,    .5,   1,    2,    5,   10,  30};
inline constexpr double commit_seconds[] = {.0001, .0002, .0005, .001, .002, .005, .01, .02,
                                            .05,   .1,    .2,    .5,   1,    5,    20};
inline constexpr double stage_seconds[] = {.0005, .001, .002, .005, .01, .02, .05, .1,  .2, .5,
                                           1,     2,    5,    10,   30,  60,  120, 300, 600};
inline constexpr double delivery_seconds[] = {.005, .01,  .02,   .05,   .1,    .2,     .5,    1,
                                              2,    5,    10,    30,    60,    120,    300,   900,
                                              3600, 7200, 14400, 43200, 86400, 172800, 259200};
inline constexpr double turn_seconds[] = {.00001, .00002, .00005, .0001, .0002, .0005, .001, .002,
                                          .005,   .01,    .02,    .05,   .1,    .2,    .5,   1};
inline constexpr double commit_records_buckets[] = {1,   2,   5,    10,   20,   50,    100,
                                                    200, 500, 1000, 2000, 5000, 10000, 20000};
inline constexpr double window_depth_buckets[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32};
inline constexpr double completions_buckets[] = {0,   1,   2,   5,    10,   20,  50,
                                                 100, 200, 500, 1000, 2000, 4096};

// Families with a label for the provider and another one beside it: room for 200 providers before
// what is beyond the limit goes to "other".
inline constexpr uint32_t provider_series_max = 8000;

// --- the process itself
inline constexpr Family build_info{
    "sluice_build_info", "Always 1; the version is in the label.", Kind::gauge, {"version"}};
inline constexpr Family log_dropped{"sluice_log_lines_dropped_total",
                                    "Log lines dropped because stderr did not take them in time.",
                                    Kind::counter};

// --- events, to receivers that they are pushed to
inline constexpr Family events_backlog{
    "sluice_events_backlog",
    "Events in the log that a receiver ([[webhook]]) has not been told of yet.",
    Kind::gauge,
    {"sink"}};
inline constexpr Family events_pushed{"sluice_events_pushed_total",
                                      "Events that a receiver has answered for.",
                                      Kind::counter,
                                      {"sink"}};
inline constexpr Family events_missed{
    "sluice_events_missed_total",
    "Events that the log did not keep for as long as a receiver would have needed.",
    Kind::counter,
    {"sink"}};
inline constexpr Family webhook_failures{"sluice_webhook_failures_total",
                                         "Requests that a receiver did not answer with 2xx.",
                                         Kind::counter,
                                         {"sink"}};

// --- the configuration in force
inline constexpr Family config_reloads{
    "sluice_config_reloads_total",
    "Reloads of the configuration, by result: ok; refused (it was wrong, and nothing changed).",
    Kind::counter,
    {"result"}};
inline constexpr Family config_reload_successful{
    "sluice_config_last_reload_successful",
    "0 when the last reload was refused: the configuration before it goes on.", Kind::gauge};
inline constexpr Family config_loaded{"sluice_config_loaded_timestamp_seconds",
                                      "When the configuration in force was read.", Kind::gauge};
inline constexpr Family config_hash{"sluice_config_hash",
                                    "The first 48 bits of the hash of all its files: the same on "
                                    "nodes with the same configuration.",
                                    Kind::gauge};
inline constexpr Family config_restart_needed{
    "sluice_config_restart_needed",
    "Settings whose new value takes a restart, as of the last reload.", Kind::gauge};

// --- ingest
inline constexpr Family messages_accepted{"sluice_messages_accepted_total",
                                          "Recipients accepted: durable, and ours from then on.",
                                          Kind::counter,
                                          {"protocol"}};
inline constexpr Family ingest_rejected{"sluice_ingest_rejected_total",
                                        "Requests or recipients refused at ingest, by reason.",
                                        Kind::counter,
                                        {"protocol", "reason"}};
inline constexpr Family ingest_connections{"sluice_ingest_connections",
                                           "Connections of those who submit or ask.", Kind::gauge};
inline constexpr Family intake_closed{
    "sluice_intake_closed",
    "1 while nothing may come in, by the setting that says so: queue.bytes_max, "
    "queue.free_disk_min, storage, drain.",
    Kind::gauge,
    {"limit"}};
inline constexpr Family ingest_ack_duration{
    "sluice_ingest_ack_duration_seconds",
    "Time from the last byte of a submission to its answer.",
    Kind::histogram,
    {},
    ack_seconds};

// --- delivery
inline constexpr Family delivery_attempts{"sluice_delivery_attempts_total",
                                          "Attempts at single deliveries, by outcome.",
                                          Kind::counter,
                                          {"provider", "outcome"}};
inline constexpr Family messages_completed{"sluice_messages_completed_total",
                                           "Deliveries that ended for good, by outcome.",
                                           Kind::counter,
                                           {"provider", "outcome"}};
inline constexpr Family bounces{.name = "sluice_bounces_total",
                                .help = "Deliveries bounced or expired, by class of the bounce.",
                                .kind = Kind::counter,
                                .labels = {"provider", "class"},
                                .series_max = provider_series_max};
inline constexpr Family throttled_seconds{"sluice_throttled_seconds_total",
                                          "Seconds for which mail that could have gone waited at "
                                          "a site, by what held it: connections, connection_rate, "
                                          "rate (settings), learned_connections, learned_rate "
                                          "(what the hosts have been seen to take), reply (a "
                                          "pause behind a complaint), unreachable; "
                                          "provider_, source_, pool_ or tenant_ and connections, "
                                          "connection_rate, rate, hour, day: a total.",
                                          Kind::counter,
                                          {"provider", "limit"}};
inline constexpr Family limit_effective{
    .name = "sluice_limit_effective",
    .help =
        "The value in force of a limit, of the provider's site where it is largest: "
        "connections at a time, messages or connections a second. 0: none.",
    .kind = Kind::gauge,
    .labels = {"provider", "limit"},
    .across = Across::max};
inline constexpr Family in_doubt{
    "sluice_in_doubt_total",
    "Attempts after which nobody knows whether the receiver has the mail, by cause (connection: "
    "lost before the answer to the content; crash, power: of this daemon before the record of it) "
    "and by what [in_doubt] makes of it.",
    Kind::counter,
    {"provider", "cause", "policy"}};
inline constexpr Family reports{
    "sluice_reports_total",
    "Recipients that senders were told of by a delivery status notification, by action.",
    Kind::counter,
    {"action"}};
inline constexpr Family smtp_replies{
    .name = "sluice_smtp_replies_total",
    .help =
        "SMTP replies of receivers to attempts, by stage and code; codes that no standard "
        "knows are 2xx, 4xx, 5xx.",
    .kind = Kind::counter,
    .labels = {"provider", "stage", "code"},
    .series_max = provider_series_max};
inline constexpr Family delivery_duration{"sluice_delivery_duration_seconds",
                                          "Time from acceptance to the receiver's 250.",
                                          Kind::histogram,
                                          {"class"},
                                          delivery_seconds};
inline constexpr Family smtp_stage_duration{
    "sluice_smtp_stage_duration_seconds",
    "Time that a stage took: connect (the dial), ehlo (banner and EHLO), mail (the envelope), body "
    "(content to its reply).",
    Kind::histogram,
    {"stage"},
    stage_seconds};

// --- letters: what is made of a content for one transaction
inline constexpr Family dkim_signed{
    "sluice_dkim_signed_total",
    "Mails that got DKIM signatures; one for many recipients counts "
    "once.",
    Kind::counter};
inline constexpr Family letters_converted{
    "sluice_letters_converted_total",
    "Mails converted for a receiver without 8BITMIME or SMTPUTF8.", Kind::counter};
inline constexpr Family signers_backlog{
    "sluice_signers_backlog", "Mails that wait for a signer thread or are with one.", Kind::gauge};

// --- queues
inline constexpr Family queue_messages{"sluice_queue_messages",
                                       "Deliveries that wait or are under way, by state.",
                                       Kind::gauge,
                                       {"state"}};
inline constexpr Family queue_bytes{"sluice_queue_bytes", "Bytes that data_dir holds.",
                                    Kind::gauge};
inline constexpr Family queue_oldest{.name = "sluice_queue_oldest_seconds",
                                     .help = "Age of the delivery that has been due for longest.",
                                     .kind = Kind::gauge,
                                     .across = Across::max};
inline constexpr Family held_deliveries{
    "sluice_held_deliveries",
    "Deliveries that suspensions hold back, by what these name: tenant, campaign, domain, class, "
    "provider, site, several.",
    Kind::gauge,
    {"scope"}};
inline constexpr Family suspensions{"sluice_suspensions", "Suspensions and reroutes in force.",
                                    Kind::gauge};
inline constexpr Family cancellations_pending{
    "sluice_cancellations_pending",
    "Cancellations in force whose deliveries have not all got their event yet.", Kind::gauge};
inline constexpr Family unaccounted_deliveries{
    "sluice_unaccounted_deliveries",
    "Deliveries that the ledger counts as open and that no row on disk explains. Must be 0.",
    Kind::gauge};
inline constexpr Family queues{
    "sluice_queues", "Queues in memory: tenant, campaign, class and domain.", Kind::gauge};
inline constexpr Family sites{"sluice_sites", "Sites that mail goes to, or went to a moment ago.",
                              Kind::gauge};
inline constexpr Family sites_spread{
    "sluice_sites_spread", "Sites whose mail all shards send, because one core did not suffice.",
    Kind::gauge};
inline constexpr Family queue_limit{
    "sluice_queue_limit_bytes",
    "[queue] bytes_max: when data_dir holds more, nothing more is taken in.", Kind::gauge};
inline constexpr Family content_memory{"sluice_content_memory_bytes", "Contents of jobs in memory.",
                                       Kind::gauge};
inline constexpr Family memory_limit{"sluice_memory_limit_bytes",
                                     "[queue] memory: for contents and windows.", Kind::gauge};

// --- connections
inline constexpr Family connections{
    "sluice_connections", "Outbound connections, by state.", Kind::gauge, {"provider", "state"}};
inline constexpr Family connections_opened{"sluice_connections_opened_total",
                                           "Attempts to open an outbound connection, by result.",
                                           Kind::counter,
                                           {"provider", "result"}};
inline constexpr Family tls_handshakes{
    "sluice_tls_handshakes_total",
    "TLS handshakes with hosts, by version (\"none\": it failed), whether a session was resumed, "
    "and "
    "what came of it: encrypted (by a host that could not be verified), verified, dane, failed.",
    Kind::counter,
    {"version", "resumed", "result"}};
inline constexpr Family window_depth{"sluice_window_depth",
                                     "Messages in flight on a connection when one more was begun.",
                                     Kind::histogram,
                                     {},
                                     window_depth_buckets};
inline constexpr Family transactions{"sluice_transactions_total",
                                     "SMTP transactions, by how much of the dialogue was under way "
                                     "at a time: lock_step, envelope, next, messages.",
                                     Kind::counter,
                                     {"depth"}};

// --- DNS
inline constexpr Family dns_lookups{"sluice_dns_lookups_total",
                                    "Questions asked of the DNS, by type and result.",
                                    Kind::counter,
                                    {"type", "result"}};
inline constexpr Family dns_cache_hits{"sluice_dns_cache_hits_total",
                                       "Questions answered from the cache.", Kind::counter};
inline constexpr Family sts_fetches{"sluice_mta_sts_fetches_total",
                                    "MTA-STS policies fetched from their hosts, by result.",
                                    Kind::counter,
                                    {"result"}};

// --- storage
inline constexpr Family storage_commit_duration{"sluice_storage_commit_duration_seconds",
                                                "Time of one synced write to the store.",
                                                Kind::histogram,
                                                {},
                                                commit_seconds};
inline constexpr Family storage_commit_records{"sluice_storage_commit_records",
                                               "Rows put and removed by one synced write.",
                                               Kind::histogram,
                                               {},
                                               commit_records_buckets};
inline constexpr Family storage_free{
    "sluice_storage_free_bytes", "Free bytes of the file system that holds data_dir.", Kind::gauge};
inline constexpr Family storage_free_min{
    "sluice_storage_free_min_bytes",
    "[queue] free_disk_min: below this much free disk nothing more is taken in.", Kind::gauge};
inline constexpr Family storage_unreadable{
    "sluice_storage_unreadable_total",
    "Reads of the queue that met damage and went on without what stood there; run sluice fsck.",
    Kind::counter};
inline constexpr Family worker_backlog{"sluice_worker_backlog",
                                       "Work that waits for a storage thread or is with one: "
                                       "commit (and refills), read (for the API).",
                                       Kind::gauge,
                                       {"worker"}};

// --- shards
inline constexpr Family shard_busy{.name = "sluice_shard_busy_seconds_total",
                                   .help = "Time that a shard spent working, not waiting.",
                                   .kind = Kind::counter,
                                   .labels = {"shard"},
                                   .unit = 1e-9};  // count nanoseconds
inline constexpr Family shard_turn{"sluice_shard_turn_seconds",
                                   "Time of one turn of a shard's loop without its sleep.",
                                   Kind::histogram,
                                   {"shard"},
                                   turn_seconds};
inline constexpr Family shard_silent{
    "sluice_shard_silent_seconds",
    "For how long a shard's loop has not turned; above a second or two something blocks it.",
    Kind::gauge,
    {"shard"}};
inline constexpr Family mailbox_waiting{
    "sluice_mailbox_waiting",
    "Messages to other shards that wait for room in a ring; 0 unless one falls behind.",
    Kind::gauge,
    {"shard"}};
inline constexpr Family ring_operations{
    "sluice_ring_operations_total", "Operations given to io_uring.", Kind::counter, {"shard"}};
inline constexpr Family ring_enters{
    "sluice_ring_enters_total", "io_uring_enter calls.", Kind::counter, {"shard"}};
inline constexpr Family ring_completions{"sluice_ring_completions",
                                         "Completions found in the queue by one turn of the loop.",
                                         Kind::histogram,
                                         {"shard"},
                                         completions_buckets};
inline constexpr Family ring_overflows{
    "sluice_ring_overflows_total",
    "Turns that found the completion queue full: the kernel kept the rest, and none was lost.",
    Kind::counter,
    {"shard"}};
inline constexpr Family receive_buffers{"sluice_receive_buffers",
                                        "Receive buffers of the ring, by state: used, free.",
                                        Kind::gauge,
                                        {"shard", "state"}};
inline constexpr Family receive_starved{
    "sluice_receive_starved_total",
    "Receives that had to wait because every buffer was in use.",
    Kind::counter,
    {"shard"}};

}  // namespace metrics::catalog
