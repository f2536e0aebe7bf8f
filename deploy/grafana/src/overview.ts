// Overview: is it sending, what is held and why, what bounced and why. The page to open first.
import { dashboard, graph, line, node, quantiles, stat } from './house';

const share = (part: string, whole: string) => `100 * ${part} / ${whole}`;
const ended = (outcome: string) => node.sumRate('messages_completed_total', '', `outcome="${outcome}"`);
const attempts = (outcome: string) => node.sumRate('delivery_attempts_total', '', `outcome="${outcome}"`);

export const overview = dashboard({
  title: 'Sluice / Overview',
  uid: 'sluice-overview',
  about: 'Is it sending, what is held and why, what bounced and why.',
  rows: [
    ['Now', [
      stat('Delivered', ended('delivered'), { unit: 'mails/s', decimals: 1, about: 'Recipients per second for whom a receiver answered 250.' }),
      stat('Accepted', node.sumRate('messages_accepted_total'), { unit: 'mails/s', decimals: 1, about: 'Recipients per second taken in: synced to disk before the answer.' }),
      stat('In the queue', `sum (${node.of('queue_messages')})`, { unit: 'short', decimals: 0, about: 'Deliveries that wait or are under way. Growing while nothing is delivered: see what holds them, below.' }),
      stat('Longest due', `max (${node.of('queue_oldest_seconds')})`, { unit: 's', decimals: 0, about: 'For how long the delivery has been due that waits longest for its turn.' }, [[300, 'orange'], [3600, 'red']]),
      stat('Bounced', share(ended('bounced'), node.sumRate('messages_completed_total')), { unit: 'percent', decimals: 2, about: 'Share of what ended. Above 5% receivers begin to think ill of a sender: look at the classes, then at the list of recipients.' }, [[5, 'orange'], [10, 'red']]),
      stat('Deferred', share(attempts('deferred'), node.sumRate('delivery_attempts_total')), { unit: 'percent', decimals: 2, about: 'Share of the attempts that a receiver (or the way to it) put off. They are tried again.' }, [[20, 'orange'], [50, 'red']]),
      stat('Intake closed', `max (${node.of('intake_closed')})`, { unit: 'bool_yes_no', about: 'Whether new mail is refused. Which limit says so is in the alert, in /readyz and in sluice_intake_closed.' }, [[1, 'red']]),
      stat('Unaccounted', `max (abs(${node.of('unaccounted_deliveries')}))`, { unit: 'short', decimals: 0, about: 'Deliveries that the ledger counts as open and that no row on disk explains. Must be 0; anything else is a bug of ours.' }, [[1, 'red']]),
    ]],
    ['Mail', [
      graph('Accepted and ended', [
        line(node.sumRate('messages_accepted_total', 'protocol'), 'accepted: {{protocol}}'),
        line(node.sumRate('messages_completed_total', 'outcome'), '{{outcome}}'),
      ], { unit: 'mails/s', about: 'What came in and what ended. Accepted above ended: the queue grows.' }),
      graph('Attempts', [line(node.sumRate('delivery_attempts_total', 'outcome'), '{{outcome}}')],
        { unit: 'ops', stack: true, about: 'Attempts at single deliveries, by how they ended.' }),
      graph('Queue', [line(`sum by (state) (${node.of('queue_messages')})`, '{{state}}')],
        { unit: 'short', stack: true, about: 'scheduled: wait for their time, in memory or on disk. ready: due, and wait for a connection to their site. sending: in a transaction.' }),
      graph('Longest due', [line(`max by (instance) (${node.of('queue_oldest_seconds')})`, '{{instance}}')],
        { unit: 's', about: 'Age of the delivery that has been due for longest. A steady rise: one provider is held back, see the Provider page.' }),
      graph('From acceptance to 250', quantiles(node, 'delivery_duration_seconds'),
        { unit: 's', about: 'Of mail that was delivered, retries included.' }),
      graph('Providers', [line(`topk(10, ${node.sumRate('messages_completed_total', 'provider', 'outcome="delivered"')})`, '{{provider}}')],
        { unit: 'mails/s', stack: true, about: 'Delivered, by provider; the ten largest. "default" is who no [[provider]] names.' }),
    ]],
    ['Trouble', [
      graph('Bounces by class', [line(node.sumRate('bounces_total', 'class'), '{{class}}')],
        { unit: 'mails/s', stack: true, about: '"sluice classify" shows which rule gives a reply its class, and what to do.' }),
      graph('Replies that refuse or put off', [line(`topk(10, ${node.sumRate('smtp_replies_total', 'stage, code', 'code=~"[45].*"')})`, '{{code}} to {{stage}}')],
        { unit: 'ops', about: '4xx: come again; 5xx: never. By the stage that was answered.' }),
      graph('Held back', [line(node.sumRate('throttled_seconds_total', 'provider, limit'), '{{provider}}: {{limit}}')],
        { unit: 'short', about: 'Sites where mail waited because of a limit, on average; by provider and by the limit that binds.' }),
      graph('Held by orders', [
        line(`sum by (scope) (${node.of('held_deliveries')})`, 'held: {{scope}}'),
        line(`max (${node.of('suspensions')})`, 'suspensions in force'),
        line(`max (${node.of('cancellations_pending')})`, 'cancellations under way'),
      ], { unit: 'short', about: 'What operators have suspended or cancelled. GET /v1/suspensions says who, why and until when.' }),
      graph('Refused at our door', [line(node.sumRate('ingest_rejected_total', 'protocol, reason'), '{{protocol}}: {{reason}}')],
        { unit: 'ops', about: 'Requests and recipients that were not taken, by reason. Submitters got the same words.' }),
      graph('Answer to a submitter', quantiles(node, 'ingest_ack_duration_seconds'),
        { unit: 's', about: 'From the last octet of a submission to its answer, the sync of the disk included.' }),
      graph('Possible duplicates', [line(node.sumRate('in_doubt_total', 'provider'), '{{provider}}')],
        { unit: 'ops', about: 'Mails of which nobody knows whether the receiver has them. [in_doubt] decides whether they go again, and make a second copy, or not.' }),
      graph('Disk', [
        line(`sum by (instance) (${node.of('queue_bytes')})`, 'data_dir {{instance}}'),
        line(`sum by (instance) (${node.of('storage_free_bytes')})`, 'free {{instance}}'),
        line(`max (${node.of('queue_limit_bytes')})`, 'limit: bytes_max'),
        line(`max (${node.of('storage_free_min_bytes')})`, 'limit: free_disk_min'),
      ], { unit: 'bytes', about: 'data_dir above bytes_max, or free below free_disk_min: nothing more is taken in, and what is there is still delivered.' }),
      graph('Notifications to senders', [line(node.sumRate('reports_total', 'action'), '{{action}}')],
        { unit: 'ops', about: 'Recipients that senders were told of by a delivery status notification.' }),
    ]],
  ],
});
