// Engine: the machine under the mail: loops, rings, disk, memory, DNS, TLS.
import { dashboard, graph, line, node, quantiles, stat } from './house';

// Every program has process_*; ours are those that sluice_build_info stands beside.
const ours = 'and on (job, instance) sluice_build_info';
const process = (name: string) => `process_${name}{instance=~"$instance"} ${ours}`;
const cpu = `sum (rate(process_cpu_seconds_total{instance=~"$instance"}[$__rate_interval]) ${ours})`;
const completed = node.sumRate('messages_completed_total');

export const engine = dashboard({
  title: 'Sluice / Engine',
  uid: 'sluice-engine',
  about: 'Loops, rings, disk, memory, DNS and TLS.',
  rows: [
    ['Now', [
      stat('CPU', cpu, { unit: 'short', decimals: 2, width: 4, about: 'Cores in use by the process.' }),
      stat('CPU per mail', `${cpu} / ${completed}`, { unit: 's', width: 4, about: 'The figure to compare releases and configurations by.' }),
      stat('Busiest shard', `100 * max (${node.rate('shard_busy_seconds_total')})`, { unit: 'percent', decimals: 0, width: 4, about: 'At 100% a shard is the limit. Of one that is alone there, one large site may be the reason.' }, [[80, 'orange'], [95, 'red']]),
      stat('Slowest turns', node.quantile(0.99, 'shard_turn_seconds'), { unit: 's', width: 4, about: 'p99 of one turn of a loop, without its sleep. All connections of a shard wait for it.' }, [[0.05, 'orange'], [0.5, 'red']]),
      stat('Sync of the disk', node.quantile(0.99, 'storage_commit_duration_seconds'), { unit: 's', width: 4, about: 'p99 of a synced write. Acceptance and every outcome wait for it.' }, [[0.05, 'orange'], [0.5, 'red']]),
      stat('Up for', `time() - max (${process('start_time_seconds')})`, { unit: 's', decimals: 0, width: 4, about: 'Since the youngest of the nodes was started.' }),
    ]],
    ['Shards', [
      graph('Busy', [line(`100 * sum by (shard) (${node.rate('shard_busy_seconds_total')})`, 'shard {{shard}}')], { unit: 'percent', about: 'Time that a loop works and does not sleep.' }),
      graph('Turn, p99', [line(node.quantile(0.99, 'shard_turn_seconds', 'shard'), 'shard {{shard}}')], { unit: 's', about: 'Of one turn without its sleep.' }),
      graph('Silent', [line(`max by (instance, shard) (${node.of('shard_silent_seconds')})`, '{{instance}} shard {{shard}}')], { unit: 's', about: 'For how long a loop has not turned. Above a second or two something blocks its thread; the log has shard.stalled.' }),
      graph('Mailboxes', [line(`sum by (shard) (${node.of('mailbox_waiting')})`, 'from shard {{shard}}')], { unit: 'short', about: 'Messages to other shards that wait for room. Not 0 for long: the receiving shard cannot follow.' }),
    ]],
    ['io_uring', [
      graph('Operations and system calls', [
        line(node.sumRate('ring_operations_total'), 'operations'),
        line(node.sumRate('ring_enters_total'), 'io_uring_enter'),
      ], { unit: 'ops', about: 'Many operations a call: the load is well batched.' }),
      graph('Completions a turn', [line(node.quantile(0.5, 'ring_completions'), 'p50'), line(node.quantile(0.99, 'ring_completions'), 'p99')], { unit: 'short', about: 'How full the completion queue was when a loop came to it; it holds 4,096.' }),
      graph('Queue full, buffers short', [
        line(node.sumRate('ring_overflows_total'), 'completion queue full'),
        line(node.sumRate('receive_starved_total'), 'receives without a buffer'),
      ], { unit: 'ops', about: 'Nothing is lost by either, but both cost time.' }),
      graph('Receive buffers', [line(`sum by (state) (${node.of('receive_buffers')})`, '{{state}}')], { unit: 'short', stack: true, about: 'The pool grows in steps to its limit of 16,384 a shard.' }),
    ]],
    ['Storage', [
      graph('Synced writes', quantiles(node, 'storage_commit_duration_seconds'), { unit: 's', about: 'Time of a synced write to the store.' }),
      graph('Rows in a write', [line(node.mean('storage_commit_records'), 'rows')], { unit: 'short', about: 'Group commit: under load many submissions and outcomes share a sync.' }),
      graph('Writes', [line(node.sumRate('storage_commit_duration_seconds_count'), 'writes')], { unit: 'ops', about: 'Synced writes a second.' }),
      graph('Waiting for storage and signers', [
        line(`sum by (worker) (${node.of('worker_backlog')})`, '{{worker}}'),
        line(`sum (${node.of('signers_backlog')})`, 'signers'),
      ], { unit: 'short', about: 'Work with a thread or waiting for one. commit growing: the disk is slow. signers growing: raise [node] signers, or use Ed25519.' }),
    ]],
    ['Network', [
      graph('Stages, p95', [line(node.quantile(0.95, 'smtp_stage_duration_seconds', 'stage'), '{{stage}}')], { unit: 's', about: 'connect: the dial. ehlo: greeting and EHLO. mail: the envelope. body: content to its reply.' }),
      graph('Mails in flight on a connection', [line(node.mean('window_depth'), 'mean')], { unit: 'short', about: 'When one more was begun. 1: no pipelining across mails.' }),
      graph('TLS handshakes', [line(node.sumRate('tls_handshakes_total', 'version, resumed, result'), '{{version}} resumed {{resumed}}: {{result}}')], { unit: 'ops', about: 'encrypted: by a host that could not be verified; verified; dane; failed.' }),
      graph('DNS', [
        line(node.sumRate('dns_lookups_total', 'type, result'), '{{type}}: {{result}}'),
        line(node.sumRate('dns_cache_hits_total'), 'from the cache'),
      ], { unit: 'ops', about: 'Questions asked, and answered from the cache.' }),
    ]],
    ['Memory and the process', [
      graph('Memory', [
        line(`sum (${process('resident_memory_bytes')})`, 'resident'),
        line(`sum (${node.of('content_memory_bytes')})`, 'contents'),
        line(`sum (${node.of('memory_limit_bytes')})`, 'limit: [queue] memory'),
      ], { unit: 'bytes', about: '[queue] memory bounds contents and windows, not the whole process: RocksDB, buffers and code come on top.' }),
      graph('Queues and sites', [
        line(`sum (${node.of('queues')})`, 'queues'),
        line(`sum (${node.of('sites')})`, 'sites'),
      ], { unit: 'short', about: 'What memory grows with: a queue is a tenant, campaign, class and domain; a site a set of MX hosts.' }),
      graph('Descriptors and submitters', [
        line(`sum (${process('open_fds')})`, 'open files'),
        line(`min (${process('max_fds')})`, 'limit: LimitNOFILE'),
        line(`sum (${node.of('ingest_connections')})`, 'submitters connected'),
      ], { unit: 'short', about: 'Each connection takes one.' }),
      graph('Mails signed and converted', [
        line(node.sumRate('dkim_signed_total'), 'signed'),
        line(node.sumRate('letters_converted_total'), 'converted'),
      ], { unit: 'ops', about: 'DKIM; conversion for receivers without 8BITMIME or SMTPUTF8.' }),
      graph('Log lines dropped', [line(node.sumRate('log_lines_dropped_total'), 'dropped')], { unit: 'ops', about: 'stderr did not take them in time.' }),
      graph('Threads', [line(`sum (${process('threads')})`, 'threads')], { unit: 'short', about: 'Shards, storage workers, signers, RocksDB, the metrics page.' }),
    ]],
  ],
});
