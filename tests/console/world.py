"""A daemon under a small steady load, for somebody to look at: what the console's tests and screenshots are made with.

    /usr/bin/python3 tests/console/world.py        # prints the console's address and goes on until Ctrl-C
"""

import http.client
import json
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import lab

DOMAINS, SITES = 60, 15
CAMPAIGNS = ("november-news", "receipts", "winter-sale")


class World(lab.Lab):
    """`with World() as world`: world.url has the console; mail comes in until the end."""

    def __init__(self, name="console", more=None, messages_per_second=120):
        """`more`: settings beside, by section."""
        super().__init__(name)
        self.more, self.pace = more, messages_per_second
        self.stopping = threading.Event()
        self.feeder = threading.Thread(target=self.feed, daemon=True)

    def __enter__(self):
        super().__enter__()
        self.smtp, = lab.free_ports(1, "127.60.0.1")
        self.http, self.dns, self.stats = lab.free_ports(3)
        self.start_sink(f"127.60.0.0/24:{self.smtp}", self.stats, "--dns", f"127.0.0.1:{self.dns}", "--domains", DOMAINS,
                        "--sites", SITES, "--rcpt", "4% 550 5.1.1 no such user, 6% 451 4.7.1 greylisted, come again",
                        "--final", "1% 452 4.2.2 mailbox full")
        settings = lab.settings(
            self.folder / "data", self.http, self.folder / "ingest.sock", dns=self.dns, node={"name": "out1.demo.test", "shards": 2},
            delivery={"port": self.smtp, "connections": 10}, retry={"schedule": ["2s", "5s", "20s", "1m"], "expires": "10m"},
            provider=[{"name": "slowpost", "mx_suffix": [".mx1.demo.test"], "connections": 2, "rate": "5/s"},
                      {"name": "thriftpost", "mx_suffix": [".mx2.demo.test"], "total_rate": "3/s"}], **(self.more or {}))
        self.engine = self.start_engine(settings, self.http)
        self.url = f"http://127.0.0.1:{self.http}"
        return self

    def __exit__(self, *how):
        self.stopping.set()
        if self.feeder.is_alive():
            self.feeder.join()
        return super().__exit__(*how)

    def submit(self, recipients, campaign="november-news", tenant="default", to="reader{}@d{}.demo.test"):
        """One job; its id."""
        head = {"from": "bounce@news.demo.test", "campaign": campaign, "tenant": tenant,
                "class": "transactional" if campaign == "receipts" else "bulk",
                "content": {"from": "News <news@news.demo.test>", "subject": "Hello {{name}}", "text": "Dear {{name}}"}}
        lines = [head] + [{"to": to.format(i, i % DOMAINS), "vars": {"name": f"Reader {i}"}} for i in range(recipients)]
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=30)
        try:
            connection.request("POST", "/v1/messages", "\n".join(map(json.dumps, lines)),
                               {"Content-Type": "application/x-ndjson"})
            answer = connection.getresponse()
            body = answer.read().decode().splitlines()
            if answer.status != 202:
                raise lab.Failure(f"a job was answered {answer.status}: {body[:2]}")
            return json.loads(body[0])["job"]
        finally:
            connection.close()

    def start_load(self):
        self.feeder.start()

    def feed(self):
        turn = 0
        while not self.stopping.wait(0.5):
            turn += 1
            try:
                self.submit(max(self.pace // 2 + (turn * 37) % 40 - 20, 1), CAMPAIGNS[turn % len(CAMPAIGNS)])
            except (OSError, lab.Failure) as failed:
                if not self.stopping.is_set():
                    print(f"the load: {failed}", file=sys.stderr)


def main():
    with World(messages_per_second=400) as world:
        world.submit(20_000, "black-friday")
        world.start_load()
        print(f"{world.url}/console", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
