"""Who is served when a receiver takes less than there is: tenants by weight, transactional mail first, the small beside the large."""

import collections
import json
import time

from harness import WholeRun, raw_job, wait_until

LINE = {"from": "bounce@sender.test"}


def bulk(tenant, count, domain="one.test", campaign="c", **more):
    """The lines of an NDJSON job whose mail differs for each recipient, so that each is a message of its own."""
    job = {**LINE, "tenant": tenant, "campaign": campaign, "class": "bulk",
           "content": {"from": "News <news@sender.test>", "subject": "to {{to}}", "text": "hello {{to}}\n"}, **more}
    return [json.dumps(job), *(json.dumps({"to": f"{tenant}-{campaign}-{n}@{domain}"}) for n in range(count))]


def job_of(answer):
    """The id that an NDJSON submission's answer names."""
    return next(line["job"] for line in answer if "job" in line)


class Weights(WholeRun):
    receivers = ("sink",)
    daemon_settings = {
        "delivery": {"connections": 4, "rate": "150/s"},
        "tenant": [{"name": f"w{weight}", "weight": weight} for weight in range(1, 11)],
    }

    def test_ten_tenants_share_a_limited_site_by_their_weights(self):
        for weight in range(1, 11):
            self.daemon.submit_lines(bulk(f"w{weight}", 600, "sink.test", send_at=self.begin()))
        wait_until(lambda: self.delivered() >= 2000, 120, "the mail", every=0.2)
        # From the 200th on: until then homes had not all been told of all of it.
        ended = [event for event in self.daemon.events() if event["type"] == "delivered"][200:2000]
        shares = collections.Counter(event["tenant"] for event in ended)
        for weight in range(1, 11):
            fair = len(ended) * weight / 55
            self.assertLessEqual(abs(shares[f"w{weight}"] - fair), max(0.05 * fair, 3), shares)

    def delivered(self):
        return self.daemon.get("/v1/status")["delivered"]

    def begin(self):
        """One time for all of it, when all of it is there."""
        if not hasattr(self, "at"):
            self.at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6))
        return self.at


class Classes(WholeRun):
    receivers = ("sink",)
    daemon_settings = {"delivery": {"rate": "50/s"}}

    def test_transactional_mail_overtakes_a_large_job_that_is_under_way(self):
        large = job_of(self.daemon.submit_lines(bulk("t", 100_000, "sink.test")))
        wait_until(lambda: self.daemon.job(large)["delivered"] > 50, 30, "the large job's start")
        began = time.monotonic()
        small = self.daemon.submit(raw_job(b"From: a@sender.test\r\n\r\nhello\r\n",
                                           [f"t{n}@sink.test" for n in range(100)], **{"class": "transactional"}))
        wait_until(lambda: self.daemon.job(small)["open"] == 0, 30, "the small job")
        self.assertLess(time.monotonic() - began, 1, "two messages of fifty recipients")
        # Each with a text of its own: a hundred messages, which is what the rate allows in 2 s.
        began = time.monotonic()
        own = job_of(self.daemon.submit_lines(bulk("t", 100, "sink.test", **{"class": "transactional"})))
        wait_until(lambda: self.daemon.job(own)["open"] == 0, 30, "the second small job")
        self.assertLess(time.monotonic() - began, 2.4)

    def test_a_small_campaign_is_not_stuck_behind_a_large_one_of_the_same_tenant(self):
        self.daemon.submit_lines(bulk("s", 20_000, "sink.test", campaign="large"))
        small = job_of(self.daemon.submit_lines(bulk("s", 20, "sink.test", campaign="small")))
        wait_until(lambda: self.daemon.job(small)["open"] == 0, 20, "the small campaign")
