<?php
// Hands a mail over and waits for what became of it, with PHP 8 and nothing beside. Usage: php send.php URL FROM TO...
[, $url, $from] = $argv;
$recipients = array_slice($argv, 3);

// One exchange: headers in lower case, and the text. 429 and 503 say when to come again.
function ask(string $target, array $fields = [], ?string $body = null): array
{
    if ($key = getenv('SLUICE_API_KEY')) {
        $fields[] = "Authorization: Bearer $key";
    }
    while (true) {
        $context = stream_context_create(['http' => [
            'method' => $body === null ? 'GET' : 'POST', 'header' => $fields, 'content' => $body ?? '',
            'ignore_errors' => true, 'timeout' => 60, 'protocol_version' => 1.1,
        ]]);
        $text = file_get_contents($target, false, $context);
        if ($text === false) {
            exit("nobody answers at $target\n");
        }
        $status = (int) explode(' ', $http_response_header[0])[1];
        $headers = [];
        foreach (array_slice($http_response_header, 1) as $line) {
            [$name, $value] = explode(':', $line, 2);
            $headers[strtolower($name)] = trim($value);
        }
        if ($status < 300) {
            return [$headers, $text];
        }
        if ($status !== 429 && $status !== 503) {
            fwrite(STDERR, "$status: $text\n");
            exit(1);
        }
        sleep((int) ($headers['retry-after'] ?? 1));
    }
}

$job = [
    'from' => $from,
    'campaign' => 'example',
    'class' => 'transactional',
    'content' => ['from' => "Example <$from>", 'subject' => 'Hello {{name}}', 'text' => "Hi {{name}}, it works.\n"],
    'recipients' => array_map(fn ($to) => ['to' => $to, 'vars' => ['name' => explode('@', $to)[0]]], $recipients),
];
// The same key again within a day gives the same answer and sends nothing twice, so that a lost answer may be asked for.
$fields = ['Content-Type: application/json', 'Idempotency-Key: ' . bin2hex(random_bytes(16))];
[, $text] = ask("$url/v1/messages", $fields, json_encode($job));
$answer = json_decode($text, true);
foreach ($answer['rejected'] ?? [] as $one) {
    echo "{$one['to']} rejected {$one['message']}\n";
}

// Events come in order; the cursor says how far we have looked. Keep it, and nothing is ever missed.
$ends = 'type=delivered,bounced,expired,cancelled,suppressed&campaign=example&wait=10s';
$position = 'since=5m';
for ($left = $answer['accepted']; $left > 0;) {
    [$headers, $lines] = ask("$url/v1/events?$position&$ends");
    $position = "after={$headers['sluice-cursor']}";
    foreach (array_filter(explode("\n", $lines)) as $line) {
        $event = json_decode($line, true);
        if ($event['job'] === $answer['job']) {
            echo implode(' ', [$event['to'], $event['type'], $event['code'] ?? '', $event['reply'] ?? '']), "\n";
            $left--;
        }
    }
}
