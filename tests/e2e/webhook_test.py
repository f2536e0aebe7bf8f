"""Events that are pushed: at least once, in order, signed, over failures of the receiver and kills of the daemon."""

import hashlib
import hmac
import http.server
import json
import os
import threading
import urllib.request

from harness import TERMINAL, WholeRun, mail, wait_until

SECRET = "a secret that only both ends know"


class Hook:
    """A receiver of events on loopback. `answers`: statuses that it gives first; then 204."""

    def __init__(self, answers=()):
        self.answers = list(answers)
        self.requests = []  # (headers, events, status)
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = hook.answers.pop(0) if hook.answers else 204
                hook.requests.append((dict(self.headers), body, status))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/events"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def events(self):
        """What it has answered for, repeats too."""
        return [json.loads(line) for _, body, status in list(self.requests) if status < 300 for line in body.splitlines()]

    def end(self):
        self.server.shutdown()
        self.server.server_close()


class Webhooks(WholeRun):
    @classmethod
    def setUpClass(cls):
        cls.all = Hook([503, 500])
        cls.bounces = Hook()
        cls.addClassCleanup(cls.all.end)
        cls.addClassCleanup(cls.bounces.end)
        cls.secret = f"/tmp/sluice-webhook-{os.getpid()}.secret"
        with open(os.open(cls.secret, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
            file.write(SECRET + "\n")
        cls.addClassCleanup(os.unlink, cls.secret)
        cls.daemon_settings = {"webhook": [
            {"name": "all", "url": cls.all.url, "secret_file": cls.secret, "batch": 7},
            {"name": "bounces", "url": cls.bounces.url, "types": ["bounced"], "tenant": "acme"}]}
        super().setUpClass()

    def metric(self, name, sink):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics", timeout=10) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f'{name}{{sink="{sink}"}} '):
                    return float(line.split()[-1])
        return None

    def test_every_event_comes_at_least_once_in_order_over_failures_and_a_kill(self):
        self.daemon.submit(mail([f"w{n}@one.test" for n in range(20)] + ["r550-w@one.test"], tenant="acme"))
        self.daemon.submit(mail("r550-other@one.test", tenant="others"))
        self.daemon.settled(22)
        last = self.daemon.get("/v1/status")["storage"]["last_event"]
        wait_until(lambda: any(event["seq"] == last for event in self.all.events()), 30, "the last event")
        wait_until(lambda: self.metric("sluice_events_backlog", "all") == 0, 10, "no backlog")
        self.assertEqual([status for *_, status in self.all.requests[:3]], [503, 500, 204])
        self.assertEqual(self.metric("sluice_webhook_failures_total", "all"), 2)
        self.assertEqual(self.all.requests[0][1], self.all.requests[2][1], "what failed goes again as it was")

        # While the receiver is down events wait; a killed daemon begins where the receiver had answered.
        self.all.answers = [500] * 1000
        self.daemon.submit(mail([f"v{n}@one.test" for n in range(5)]))
        wait_until(lambda: (self.metric("sluice_events_backlog", "all") or 0) >= 10, 30, "a backlog")
        self.daemon.kill()
        self.all.answers = []
        self.daemon.start()
        newest = self.daemon.get("/v1/status")["storage"]["last_event"]
        wait_until(lambda: any(event["seq"] == newest for event in self.all.events()), 30, "what had waited")
        told = [event["seq"] for event in self.all.events()]
        self.assertEqual(sorted(set(told)), list(range(1, newest + 1)), "every event, none left out")
        firsts = [seq for at, seq in enumerate(told) if seq not in told[:at]]
        self.assertEqual(firsts, sorted(firsts), "in order, repeats aside")
        ends = {event["delivery"] for event in self.all.events() if event["type"] in TERMINAL}
        self.assertEqual(len(ends), 27)

        for headers, body, _ in self.all.requests:
            self.assertLessEqual(len(body.splitlines()), 7)
            seconds, signature = (part.split("=")[1] for part in headers["Sluice-Signature"].split(","))
            right = hmac.new(SECRET.encode(), seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
            self.assertEqual(signature, right)
            sequences = [json.loads(line)["seq"] for line in body.splitlines()]
            self.assertEqual(headers["Sluice-Events"], f"{sequences[0]}-{sequences[-1]}")
        self.assertEqual([(event["type"], event["to"]) for event in self.bounces.events()], [("bounced", "r550-w@one.test")])
        self.assertNotIn("Sluice-Signature", self.bounces.requests[0][0])
