"""Totals over several sites, which belong to different shards: never more than allowed at any moment, and nearly all of it."""

import datetime
import json
import socketserver
import threading
import time

from harness import MOODY, WholeRun, wait_until

SITES = tuple(MOODY)  # five sites, each with hosts of its own
ORIGIN = r"sluice\.toml:\d+$"


class Crowd:
    """Mail hosts of several sites that count together: connections that are open, and when messages came."""

    def __init__(self, port, seconds=0.0):
        self.lock = threading.Lock()
        self.seconds = seconds  # that each message takes
        self.complains = False  # that mail comes too fast
        self.open = self.most = 0
        self.changes = []  # (time, connections open)
        self.begun = []  # times of MAIL
        self.mails = []  # (time, site)
        self.servers = [Host(ip, port, self, site) for site, ip in MOODY.items()]

    def change(self, by):
        with self.lock:
            self.open += by
            self.most = max(self.most, self.open)
            self.changes.append((time.monotonic(), self.open))

    def mean_open(self, begin, end):
        """Of the connections, over a time."""
        total, before, count = 0.0, begin, 0
        for at, now_open in self.changes:
            if at > begin:
                total += count * (min(at, end) - before)
                before = at
            count = now_open
            if at >= end:
                return total / (end - begin)
        return (total + count * (end - before)) / (end - begin)

    def most_within(self, seconds, times):
        first = most = 0
        for last, at in enumerate(times):
            while at - times[first] >= seconds:
                first += 1
            most = max(most, last - first + 1)
        return most

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()


class Host(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 100

    def __init__(self, ip, port, crowd, site):
        super().__init__((ip, port), Conversation)
        self.crowd, self.site = crowd, site
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()


class Conversation(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        crowd = self.server.crowd
        crowd.change(+1)
        self.counted = True
        try:
            self.speak(crowd)
        except OSError:
            pass
        finally:
            self.no_more(crowd)

    def no_more(self, crowd):
        """Once: before the reply to QUIT, because what comes after that may be another connection's."""
        if self.counted:
            self.counted = False
            crowd.change(-1)

    def speak(self, crowd):
        self.say("220 crowd.test ESMTP")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"MAIL" and crowd.complains:
                self.say("450 4.7.1 rate limit exceeded, slow down")
            elif word == b"MAIL":
                crowd.begun.append(time.monotonic())
                self.say("250 ok")
            elif word == b"DATA":
                self.say("354 go")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                time.sleep(crowd.seconds)
                crowd.mails.append((time.monotonic(), self.server.site))
                self.say("250 2.0.0 taken")
            elif word == b"QUIT":
                self.no_more(crowd)
                return self.say("221 bye")
            else:
                self.say("250 ok")


class Totals(WholeRun):
    receivers = ()
    seconds = 0.0

    def setUp(self):
        self.crowd = Crowd(self.world.mail_port, self.seconds)
        self.addCleanup(self.crowd.stop)

    def submit(self, each, sites=SITES, **more):
        """A mail of its own for each recipient."""
        job = {"from": "bounce@sender.test", "class": "bulk", **more,
               "content": {"from": "News <news@sender.test>", "subject": "to {{to}}", "text": "hello {{to}}\n"}}
        lines = [json.dumps(job)]
        lines += [json.dumps({"to": f"t{n}@{site}.test"}) for n in range(each) for site in sites]
        self.daemon.submit_lines(lines)

    def received(self):
        return len(self.crowd.mails)

    def held_by(self, limit):
        return [site for site in self.daemon.get("/v1/sites")["sites"] if site.get("limit") == limit]


PROVIDER = {"name": "crowd", "mx_suffix": [f".{site}.test" for site in SITES]}


class Connections(Totals):
    seconds = 0.02
    daemon_settings = {
        "delivery": {"connections": 6, "messages_per_connection": 40, "depth": "lock_step"},
        "provider": [{**PROVIDER, "total_connections": 8}],
    }

    def test_sites_of_a_provider_share_its_connections_and_use_nearly_all_of_them(self):
        self.submit(400)
        site = wait_until(lambda: self.held_by("provider_connections"), 30, "a site that is held")[0]
        self.assertRegex(site["limit_origin"], ORIGIN)
        self.assertEqual(site["limit_reason"], "provider crowd: 8 connections in all")
        begin = wait_until(lambda: self.received() >= 200 and time.monotonic(), 60, "the first mail")
        wait_until(lambda: self.received() >= 1600, 120, "most of the mail")
        end = time.monotonic()
        self.assertEqual(self.crowd.most, 8)
        mean = self.crowd.mean_open(begin, end)
        print(f"connections: {mean / 8:.1%} of 8 in use", flush=True)
        self.assertGreater(mean, 8 * 0.85)
        early = {site for _, site in self.crowd.mails[:1600]}
        self.assertEqual(early, set(SITES), "no site waits for the others' end")
        wait_until(lambda: self.received() == 2000, 60, "all of it")
        self.assertEqual(self.crowd.most, 8)


class OneConnection(Totals):
    seconds = 0.005
    daemon_settings = {"delivery": {"connections": 5, "messages_per_connection": 0},
                       "provider": [{**PROVIDER, "total_connections": 1}]}

    def test_one_connection_goes_round_among_the_sites_of_all_shards(self):
        self.submit(400, ("b554", "b421", "b521", "full"))
        self.submit(1, ("rate",))
        wait_until(lambda: self.received() == 1601, 120, "all of it")
        self.assertEqual(self.crowd.most, 1)
        order = [site for _, site in self.crowd.mails]
        first = {site: order.index(site) for site in SITES}
        self.assertLess(max(first.values()), 1300, f"nobody waits for the others' end: {first}")


class Rates(Totals):
    daemon_settings = {
        "delivery": {"connections": 2},
        "source": [{"name": "out", "total_rate": "120/s"}],
        "provider": [{**PROVIDER, "total_rate": "3600/min"}],
    }

    def test_the_strictest_total_holds_all_sites_together_and_is_named(self):
        self.submit(110)
        site = wait_until(lambda: self.held_by("provider_rate"), 30, "a site that is held")[0]
        self.assertRegex(site["limit_origin"], ORIGIN)
        self.assertEqual(site["limit_reason"], "provider crowd: 60/s messages in all")
        wait_until(lambda: self.received() == 550, 120, "the mail")
        times = sorted(self.crowd.begun)
        seconds = times[-1] - times[0]
        print(f"rate: {549 / seconds / 60:.1%} of 60/s", flush=True)
        self.assertLessEqual(549, 60 * seconds + 2)
        self.assertLess(seconds, 549 / 60 / 0.85)


class ConnectionRate(Totals):
    daemon_settings = {
        "delivery": {"connections": 20, "messages_per_connection": 1},
        "pool": [{"name": "default", "sources": ["out"], "total_connection_rate": "20/s"}],
        "source": [{"name": "out"}],
    }

    def test_connections_to_all_sites_are_opened_no_faster_than_the_pool_may(self):
        self.submit(30)
        wait_until(lambda: self.held_by("pool_connection_rate"), 30, "a site that is held")
        wait_until(lambda: self.received() == 150, 60, "the mail")
        opened, before = [], 0
        for at, now_open in self.crowd.changes:
            if now_open > before:
                opened.append(at)
            before = now_open
        seconds = opened[-1] - opened[0]
        print(f"connection rate: {(len(opened) - 1) / seconds / 20:.1%} of 20/s", flush=True)
        self.assertLessEqual(len(opened) - 1, 20 * seconds + 3)
        self.assertLess(seconds, (len(opened) - 1) / 20 / 0.8)


class Quotas(Totals):
    daemon_settings = {
        "delivery": {"connections": 2},
        "provider": [{**PROVIDER, "total_per_day": 300}],
        "retry": {"schedule": ["1s"]},
    }

    def test_a_quota_of_the_day_is_used_up_and_holds_over_a_kill(self):
        if time.time() % 86400 > 86400 - 180:
            self.skipTest("a new day begins in three minutes")
        self.submit(30)
        wait_until(lambda: self.received() == 150, 60, "half of it")
        self.daemon.kill()
        self.daemon.start()
        self.submit(60)
        site = wait_until(lambda: self.held_by("provider_day"), 60, "a site that is held")[0]
        self.assertEqual(site["limit_reason"], "provider crowd: 300 messages a day in all")
        self.assertGreater(site["limited_for_seconds"], 1)
        wait_until(lambda: len(self.held_by("provider_day")) == len(SITES), 60, "all sites that are held")
        total = self.received()
        print(f"quota: {total} of 300, over a kill", flush=True)
        self.assertLessEqual(total, 300)
        self.assertGreaterEqual(total, 270, "what was given out when it was killed is lost")
        self.daemon.stop()
        self.daemon.start()
        wait_until(lambda: self.held_by("provider_day"), 60, "a site that is held after the restart, too")
        self.assertLessEqual(self.received(), 300)


class Tenants(Totals):
    daemon_settings = {
        "delivery": {"connections": 4},
        "tenant": [{"name": "small", "total_rate": "40/s"}, {"name": "large"}],
    }

    def test_a_tenant_has_its_rate_over_all_sites_and_holds_up_nobody_else(self):
        self.submit(60, tenant="small")
        site = wait_until(lambda: self.held_by("tenant_rate"), 30, "a site that is held")[0]
        self.assertRegex(site["limit_origin"], ORIGIN)
        self.assertEqual(site["limit_reason"], "tenant small: 40/s messages in all")
        before = self.received()
        self.submit(100, tenant="large")
        wait_until(lambda: self.received() >= before + 500, 60, "the other tenant's mail")
        self.assertTrue(self.held_by("tenant_rate"), "it was not behind this one's")
        wait_until(lambda: self.received() == 800, 60, "all of it")
        times = [event["time"] for event in self.daemon.events()
                 if event["type"] == "delivered" and event["tenant"] == "small"]
        self.assertEqual(len(times), 300)
        first, last = (datetime.datetime.fromisoformat(time) for time in (min(times), max(times)))
        seconds = (last - first).total_seconds()
        print(f"tenant: {299 / seconds / 40:.1%} of 40/s", flush=True)
        # Five sites may have a message in advance for each connection, of those that were first.
        self.assertLessEqual(299, 40 * seconds + 5 * 5)
        self.assertLess(seconds, 299 / 40 / 0.85)


class SourceLayer(Totals):
    seconds = 0.05
    daemon_settings = {"delivery": {"connections": 6}, "source": [{"name": "new", "connections": 2, "rate": "1000/s"}]}

    def test_a_source_may_have_stricter_limits_than_the_site(self):
        self.submit(60, ("full",))
        site = wait_until(lambda: self.held_by("connections"), 30, "a site that is held")[0]
        lines = (self.daemon.folder / "sluice.toml").read_text().splitlines()
        at = int(site["limit_origin"].rsplit(":", 1)[1])
        self.assertEqual(lines[at - 1], "connections = 2", "the source's line")
        wait_until(lambda: self.received() == 60, 60, "the mail")
        self.assertEqual(self.crowd.most, 2)
