"""SMTP in, SMTP out."""

import smtplib

from harness import WholeRun, wait_until

RAW = (b"From: a@news.example\r\nTo: s@one.test\r\nSubject: in by SMTP\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
       b"Message-ID: <in@news.example>\r\n%s\r\n.one\r\n..two\r\nend\r\n")


class Submission(WholeRun):
    def client(self):
        client = smtplib.SMTP("127.0.0.1", self.daemon.smtp_port, "client.test", timeout=30)
        self.addCleanup(client.close)
        return client

    def delivered(self, to):
        return wait_until(lambda: self.world.receiver.received_by(to), 30, to)[0]

    def test_a_message_goes_through_byte_by_byte(self):
        self.client().sendmail("a@news.example", ["s1@one.test"], RAW % b"")
        entry = self.delivered("s1@one.test")
        self.assertEqual(entry["from"], "a@news.example")
        self.assertTrue(entry["data"].endswith(RAW % b""), entry["data"])  # a Received field may stand above it

    def test_many_recipients_get_a_copy_each(self):
        refused = self.client().sendmail("a@news.example", [f"m{n}@one.test" for n in range(20)] + ["m@two.test"],
                                         RAW % b"")
        self.assertEqual(refused, {})
        for to in [f"m{n}@one.test" for n in range(20)] + ["m@two.test"]:
            self.delivered(to)

    def test_headers_of_ours_set_the_job_and_are_taken_out(self):
        self.client().sendmail("a@news.example", ["s2@one.test"],
                               RAW % b"X-Sluice-Campaign: winter\r\nX-Sluice-Tenant: acme\r\n")
        self.assertNotIn(b"X-Sluice", self.delivered("s2@one.test")["data"])
        event = wait_until(lambda: self.daemon.events(to="s2@one.test", type="delivered"), 10, "its event")[0]
        self.assertEqual((event["campaign"], event["tenant"]), ("winter", "acme"))

    def test_the_answer_names_the_job(self):
        client = self.client()
        client.ehlo()
        client.mail("a@news.example")
        client.rcpt("s3@one.test")
        code, text = client.data(RAW % b"")
        self.assertEqual(code, 250)
        event = wait_until(lambda: self.daemon.events(to="s3@one.test", type="delivered"), 30, "its event")[0]
        self.assertIn(event["job"].encode(), text)

    def test_missing_date_and_message_id_are_added(self):
        self.client().sendmail("a@news.example", ["s4@one.test"],
                               b"From: a@news.example\r\nSubject: bare\r\n\r\nhello\r\n")
        data = self.delivered("s4@one.test")["data"]
        self.assertIn(b"\r\nDate: ", b"\r\n" + data)
        self.assertIn(b"\r\nMessage-ID: ", b"\r\n" + data)

    def test_several_messages_use_one_connection(self):
        client = self.client()
        for n in range(20):
            client.sendmail("a@news.example", [f"row{n}@one.test"], RAW % b"")
        client.quit()
        for n in range(20):
            self.delivered(f"row{n}@one.test")
