"""What waits keeps its times: keys, due times and expiries over kills and behind slow sites."""

import smtplib
import time

from harness import WholeRun, ledger, mail, wait_until


def header_mail(to, **fields):
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join(["From: a@news.example", f"To: {to}", "Subject: s", *lines, "", "text", ""]).encode()


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Waiting(WholeRun):
    def smtp(self, to, **fields):
        with smtplib.SMTP("127.0.0.1", self.daemon.smtp_port, "submit.test", timeout=30) as client:
            client.ehlo()
            client.mail("b@news.example")
            client.rcpt(to)
            code, text = client.data(header_mail(to, **fields))
        return code, text.decode()

    def restart(self):
        self.daemon.kill()
        self.daemon.start()

    def test_keys_are_remembered_over_a_kill(self):
        job = mail("key-http@one.test")
        first = self.daemon.post(job, Idempotency_Key="kill-1")
        smtp = self.smtp("key-smtp@one.test", X_Sluice_Idempotency_Key="kill-2")
        self.assertEqual((first[0], smtp[0]), (202, 250))
        self.restart()
        self.assertEqual(self.daemon.post(job, Idempotency_Key="kill-1"), first)
        self.assertEqual(self.daemon.post(mail("z@one.test"), Idempotency_Key="kill-1")[0], 409)
        again = self.smtp("key-smtp@one.test", X_Sluice_Idempotency_Key="kill-2")
        self.assertEqual(again, (250, smtp[1].replace("queued as", "queued before as")))
        for to in ("key-http@one.test", "key-smtp@one.test"):
            wait_until(lambda: self.world.receiver.received_by(to), 30, "the mail")
            accepted = [event for event in self.daemon.events(to=to) if event["type"] == "accepted"]
            self.assertEqual(len(accepted), 1)

    def test_mail_for_later_goes_then_also_over_a_kill(self):
        at = int(time.time()) + 5
        job = self.daemon.submit(mail("later@one.test", send_at=utc(at)))
        code, _ = self.smtp("later-smtp@one.test", X_Sluice_Send_At=utc(at))
        self.assertEqual(code, 250)
        self.restart()
        wait_until(lambda: self.daemon.job(job)["delivered"] == 1, 30, "its time")
        wait_until(lambda: self.world.receiver.received_by("later-smtp@one.test"), 30, "the other's time")
        for to in ("later@one.test", "later-smtp@one.test"):
            event = [event for event in self.daemon.events(to=to) if event["type"] == "delivered"][0]
            self.assertGreaterEqual(event["time"], utc(at).replace("Z", ""))
            self.assertLess(event["queue_ms"], 3000, "late")


class Expiring(WholeRun):
    daemon_settings = {"delivery": {"connections": 2, "rate": "2/s"}}

    def test_what_waits_for_a_slow_site_or_on_disk_expires_in_its_time(self):
        count, lasts = 10000, 6  # more than a window holds
        lines = [{key: value for key, value in mail("x@one.test", expires_in=f"{lasts}s").items() if key != "recipients"}]
        lines += [{"to": f"e{n}@one.test", "vars": {"n": str(n)}} for n in range(count)]
        lines[0]["content"]["text"] = "{{n}}"
        job = self.daemon.submit_lines(lines)[0]["job"]
        begun = time.monotonic()
        wait_until(lambda: self.daemon.job(job)["open"] == 0, lasts + 60, "the end of all")
        took = time.monotonic() - begun
        counts = self.daemon.job(job)
        print(f"      {counts['expired']} of {count} expired, the last {took - lasts:.1f} s late")
        self.assertEqual(counts["delivered"] + counts["expired"], count)
        self.assertGreater(counts["expired"], count / 2)
        self.assertEqual(len(self.world.receiver.recipients()), counts["delivered"])
        events = self.daemon.events()
        self.assert_complete(events)
        self.assertTrue(all(event["reply"] for event in events if event["type"] == "expired"))
        ledger(self.daemon)
