"""Mail hosts that refuse at the door, that say we are too fast, or that never answer."""

import socket
import socketserver
import threading
import urllib.request

from harness import MOODY, WholeRun, mail, wait_until


class Talker(socketserver.ThreadingTCPServer):
    """A mail host of a few lines: a banner, and for MAIL what `moods` says, in order; then it takes all."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, ip, port, banner="220 moody.test ESMTP", moods=()):
        super().__init__((ip, port), Dialogue)
        self.banner, self.moods, self.visits, self.taken = banner, list(moods), 0, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Dialogue(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.server.visits += 1
        self.say(self.server.banner)
        if not self.server.banner.startswith("220"):
            return
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"MAIL" and self.server.moods:
                self.say(self.server.moods.pop(0))
            elif word == b"DATA":
                self.say("354 go")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                self.server.taken += 1
                self.say("250 2.0.0 taken")
            elif word == b"QUIT":
                return self.say("221 bye")
            else:
                self.say("250 ok")


class MoodyHosts(WholeRun):
    daemon_settings = {"retry": {"schedule": ["1s"], "expires": "20s"},
                       "timeouts": {"connect": "1s", "banner": "3s"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hosts = {}
        for name, banner in (("b554", "554 5.7.1 no mail from your network today"), ("b421", "421 4.3.2 too busy"),
                             ("b521", "521 5.3.2 mx.b521.test takes no mail")):
            cls.host(name, banner=banner)

    @classmethod
    def host(cls, name, **more):
        made = cls.hosts[name] = Talker(MOODY[name], cls.world.mail_port, **more)
        cls.addClassCleanup(made.server_close)
        cls.addClassCleanup(made.shutdown)
        return made

    def story(self, to, **more):
        """All events of one mail, once it has ended."""
        self.daemon.submit(mail(to, **more))
        wait_until(lambda: [e for e in self.daemon.events(to=to) if e["type"] in ("delivered", "bounced", "expired")],
                   40, f"the end of {to}")
        return self.daemon.events(to=to)

    def test_a_5yz_banner_means_the_next_host(self):
        events = self.story("x@second.b554.test")
        self.assertEqual([event["type"] for event in events], ["accepted", "delivered"])
        self.assertEqual(events[1]["mx"], "mx.one.test")

    def test_a_4yz_banner_means_the_next_host(self):
        events = self.story("x@second.b421.test")
        self.assertEqual([event["type"] for event in events], ["accepted", "delivered"])
        self.assertEqual(events[1]["mx"], "mx.one.test")

    def test_a_5yz_banner_of_the_only_host_is_no_bounce(self):
        events = self.story("x@b554.test", expires_in="3s")
        self.assertEqual(events[-1]["type"], "expired")
        self.assertEqual((events[1]["type"], events[1]["stage"], events[1]["bounce_class"]),
                         ("deferred", "banner", "spam_block"))

    def test_hosts_that_take_no_mail_bounce_once_all_have_said_so(self):
        events = self.story("x@b521.test")
        self.assertEqual([event["type"] for event in events], ["accepted", "bounced"])
        self.assertEqual((events[1]["code"], events[1]["stage"], events[1]["bounce_class"]), (521, "banner", "bad_domain"))

    def test_a_domain_whose_best_host_is_this_one_bounces(self):
        events = self.story("x@loop.test")
        self.assertEqual([event["type"] for event in events], ["accepted", "bounced"])
        self.assertEqual((events[1]["enhanced"], events[1]["bounce_class"]), ("5.4.6", "routing_errors"))

    def test_a_host_that_does_not_answer_is_deferred(self):
        with socket.create_server((MOODY["full"], self.world.mail_port), backlog=0) as deaf:
            # Whoever fills its queue keeps later ones from being answered at all.
            crowd = []
            for _ in range(3):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex((MOODY["full"], self.world.mail_port))
                crowd.append(one)
            events = self.story("x@full.test", expires_in="3s")
            for one in crowd:
                one.close()
            deaf.close()
        self.assertEqual((events[1]["type"], events[1]["stage"], events[1]["bounce_class"]),
                         ("deferred", "connect", "no_answer_from_host"))
        self.assertIn("connect timeout", events[1]["reply"])

    def test_a_site_that_complains_of_our_speed_is_left_in_peace_for_a_while(self):
        host = self.host("rate", moods=["450 4.7.1 rate limit exceeded, slow down"])
        job = self.daemon.submit(mail([f"x{i}@rate.test" for i in range(30)]))
        wait_until(lambda: self.daemon.job(job)["open"] == 0, 30, "the job's end")
        self.assertEqual(host.taken, 30)
        deferred = [event for event in self.daemon.events() if event.get("job") == job and event["type"] == "deferred"]
        self.assertEqual([(event["code"], event["bounce_class"]) for event in deferred], [(450, "throttled")])
        self.assertRegex(self.metrics(), r'sluice_throttled_seconds_total\{[^}]*limit="reply"[^}]*\} [1-9]')

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics", timeout=10) as answer:
            return answer.read().decode()
