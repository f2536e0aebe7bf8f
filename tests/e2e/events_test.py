"""The event feed: complete, in order, resumable; and the counts that must agree with it."""

import threading
import time

from harness import TERMINAL, WholeRun, ledger, mail, wait_until


class Events(WholeRun):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        recipients = [f"u{n}@one.test" for n in range(200)] + [f"r550-{n}@two.test" for n in range(50)]
        cls.job_id = cls.daemon.submit(mail(recipients, campaign="feed"))
        cls.all = cls.daemon.settled(250)

    def test_every_delivery_is_accepted_and_ends_exactly_once(self):
        self.assert_complete([event for event in self.all if event["job"] == self.job_id])

    def test_reading_in_small_pages_gives_the_same_events(self):
        pages, after = [], 0
        while page := self.daemon.events(after, limit=7):
            self.assertLessEqual(len(page), 7)
            pages += page
            after = page[-1]["seq"]
            if after >= self.all[-1]["seq"]:
                break
        known = {event["seq"]: event for event in self.all}
        self.assertEqual([event for event in pages if event["seq"] in known], self.all)

    def test_filters_give_a_part_of_the_feed_in_its_order(self):
        bounced = self.daemon.events(type="bounced", campaign="feed")
        self.assertEqual(bounced, [event for event in self.all if event["type"] == "bounced"])
        one = self.daemon.events(to="u7@one.test")
        self.assertEqual([event["type"] for event in one], ["accepted", "delivered"])

    def test_a_reader_that_waits_wakes_when_something_happens(self):
        last = self.daemon.events()[-1]["seq"]
        answer = {}
        def read():
            began = time.monotonic()
            status, _, body = self.daemon.request("GET", f"/v1/events?after={last}&wait=20s")
            answer.update(status=status, body=body, seconds=time.monotonic() - began)
        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(0.5)  # the reader has to be waiting; nothing depends on the length
        self.daemon.submit(mail("wake@one.test"))
        reader.join(30)
        self.assertEqual(answer["status"], 200)
        self.assertIn(b"wake@one.test", answer["body"])
        self.assertLess(answer["seconds"], 10)

    def test_a_reader_that_waits_for_nothing_is_let_go_in_time(self):
        wait_until(lambda: self.daemon.events(self.daemon.events()[-1]["seq"]) == [], 10, "quiet")
        last = self.daemon.events()[-1]["seq"]
        began = time.monotonic()
        status, _, body = self.daemon.request("GET", f"/v1/events?after={last}&wait=1s")
        self.assertEqual((status, body.strip()), (200, b""))
        self.assertLess(time.monotonic() - began, 5)

    def test_the_job_counts_what_the_events_tell(self):
        counts = self.daemon.job(self.job_id)
        self.assertEqual((counts["accepted"], counts["delivered"], counts["bounced"], counts["open"]),
                         (250, 200, 50, 0))

    def test_a_delivery_tells_its_story(self):
        delivery = next(event["delivery"] for event in self.all if event["type"] == "bounced")
        story = self.daemon.get(f"/v1/deliveries/{delivery}")
        self.assertEqual([event["type"] for event in story["events"]], ["accepted", "bounced"])

    def test_the_ledger_adds_up(self):
        wait_until(lambda: all(t["open"] == 0 for t in ledger(self.daemon).values()), 20, "nothing open")
        events = self.daemon.events()
        for tenant, counts in ledger(self.daemon).items():
            told = [event["type"] for event in events if event.get("tenant", "default") == tenant]
            self.assertEqual(counts["accepted"], told.count("accepted"))
            for kind in TERMINAL:
                self.assertEqual(counts[kind], told.count(kind), kind)
