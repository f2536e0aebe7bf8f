// Provider: one receiver, or a few beside each other: what it takes, what it says, what limits us there.
import { dashboard, graph, line, provider, stat } from './house';

const ended = (outcome: string) => provider.sumRate('messages_completed_total', '', `outcome="${outcome}"`);

export const providers = dashboard({
  title: 'Sluice / Provider',
  uid: 'sluice-provider',
  about: 'What a receiver takes, what it says, and what limits us there.',
  providers: true,
  rows: [
    ['Now', [
      stat('Delivered', ended('delivered'), { unit: 'mails/s', decimals: 1, width: 4, about: 'Recipients per second for whom the receiver answered 250.' }),
      stat('Put off', `100 * ${provider.sumRate('delivery_attempts_total', '', 'outcome="deferred"')} / ${provider.sumRate('delivery_attempts_total')}`,
        { unit: 'percent', decimals: 1, width: 4, about: 'Share of the attempts that ended with "come again".' }, [[20, 'orange'], [50, 'red']]),
      stat('Bounced', `100 * ${ended('bounced')} / ${provider.sumRate('messages_completed_total')}`,
        { unit: 'percent', decimals: 2, width: 4, about: 'Share of what ended.' }, [[5, 'orange'], [10, 'red']]),
      stat('Connections', `sum (${provider.of('connections')})`, { unit: 'short', decimals: 0, width: 4, about: 'Open to the hosts of the provider, busy and idle.' }),
      stat('Mails per connection', `${ended('delivered')} / ${provider.sumRate('connections_opened_total', '', 'result="ok"')}`,
        { unit: 'short', decimals: 1, width: 4, about: 'Few: the receiver hangs up early, or messages_per_connection is small. Each connection costs round trips and a handshake.' }),
      stat('Not opened', `100 * ${provider.sumRate('connections_opened_total', '', 'result="failed"')} / ${provider.sumRate('connections_opened_total')}`,
        { unit: 'percent', decimals: 1, width: 4, about: 'Share of the attempts to open a connection that failed: refused, no answer, greeted with 4xx or 5xx, TLS.' }, [[10, 'orange'], [50, 'red']]),
    ]],
    ['What it takes', [
      graph('Delivered', [line(provider.sumRate('messages_completed_total', 'provider', 'outcome="delivered"'), '{{provider}}')],
        { unit: 'mails/s', stack: true, about: 'Recipients for whom the receiver answered 250.' }),
      graph('Attempts', [line(provider.sumRate('delivery_attempts_total', 'outcome'), '{{outcome}}')],
        { unit: 'ops', stack: true, about: 'By how they ended.' }),
      graph('Connections', [line(`sum by (provider, state) (${provider.of('connections')})`, '{{provider}}: {{state}}')],
        { unit: 'short', stack: true, about: 'busy: in a transaction or opening. idle: waiting for work, kept for [timeouts] idle.' }),
      graph('Connections opened', [line(provider.sumRate('connections_opened_total', 'provider, result'), '{{provider}}: {{result}}')],
        { unit: 'ops', about: 'failed: see the replies below, and the events of the provider for the reason in words.' }),
    ]],
    ['What it says', [
      graph('Bounces by class', [line(provider.sumRate('bounces_total', 'provider, class'), '{{provider}}: {{class}}')],
        { unit: 'mails/s', stack: true, about: 'Classes about us (reputation, policy, authentication) want a human; classes about a recipient want a cleaner list.' }),
      graph('Replies', [line(`topk(15, ${provider.sumRate('smtp_replies_total', 'stage, code')})`, '{{code}} to {{stage}}')],
        { unit: 'ops', about: 'All replies to attempts, by the stage that was answered; the fifteen most frequent.' }),
    ]],
    ['What limits us', [
      graph('Held back', [line(provider.sumRate('throttled_seconds_total', 'provider, limit'), '{{provider}}: {{limit}}')],
        { unit: 'short', about: 'Sites of the provider where mail waited because of a limit, on average; by the limit that binds. Compare with the limits in force.' }),
      graph('Limits in force', [line(`max by (provider, limit) (${provider.of('limit_effective')})`, '{{provider}}: {{limit}}')],
        { unit: 'short', about: 'Of the site where it is largest. connections: at a time. rate: mails a second. learned_*: what the hosts have been seen to take.' }),
      graph('Possible duplicates', [line(provider.sumRate('in_doubt_total', 'provider, cause'), '{{provider}}: {{cause}}')],
        { unit: 'ops', about: 'Nobody knows whether the receiver has the mail. connection: lost before the answer to the content; crash, power: of ours before the record of it.' }),
    ]],
  ],
});
