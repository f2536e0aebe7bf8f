"""What is refused stores nothing; what is repeated is stored once."""

import json

from harness import WholeRun, mail, wait_until


class Api(WholeRun):
    def accepted(self):
        return sum(event["type"] == "accepted" for event in self.daemon.events())

    def test_bad_requests_store_nothing_and_say_what_is_wrong(self):
        before = self.accepted()
        good = mail("x@one.test")
        cases = [
            (b"{", {"Content-Type": "application/json"}, 400),
            (b"", {"Content-Type": "application/json"}, 400),
            (b"[]", {"Content-Type": "application/json"}, (400, 422)),
            (json.dumps({**good, "from": "no address"}).encode(), {"Content-Type": "application/json"}, 422),
            (json.dumps({**good, "recipients": []}).encode(), {"Content-Type": "application/json"}, 422),
            (json.dumps({**good, "surprise": 1}).encode(), {"Content-Type": "application/json"}, 422),
            (json.dumps({**good, "content": {}}).encode(), {"Content-Type": "application/json"}, 422),
            (json.dumps({**good, "class": "urgent"}).encode(), {"Content-Type": "application/json"}, 422),
            (json.dumps({**good, "send_at": "tomorrow"}).encode(), {"Content-Type": "application/json"}, 422),
            (json.dumps(mail("x@one.test", subject="a\r\nBcc: b@x.test")).encode(),
             {"Content-Type": "application/json"}, 422),
            (json.dumps(good).encode(), {"Content-Type": "text/csv"}, 415),
        ]
        for body, headers, expected in cases:
            status, _, answer = self.daemon.request("POST", "/v1/messages", body, headers)
            with self.subTest(body=body[:80]):
                self.assertIn(status, expected if isinstance(expected, tuple) else (expected,), answer)
                errors = json.loads(answer)["errors"]
                self.assertTrue(all(error["code"] and error["message"] for error in errors))
        self.assertEqual(self.daemon.request("DELETE", "/v1/messages")[0], 405)
        self.assertEqual(self.daemon.request("GET", "/v1/nothing")[0], 404)
        self.assertEqual(self.accepted(), before)

    def test_a_bad_recipient_is_named_and_the_others_are_taken(self):
        status, answer = self.daemon.post(mail(["good@one.test", "bad address", "good2@one.test"]))
        self.assertEqual((status, answer["accepted"]), (202, 2))
        self.assertEqual([(one["index"], one["to"], one["code"]) for one in answer["rejected"]],
                         [(1, "bad address", "recipient.invalid")])
        wait_until(lambda: self.world.receiver.received_by("good2@one.test"), 30, "the good ones")

    def test_an_idempotency_key_stores_once_and_answers_the_same(self):
        job = mail("once@one.test")
        first = self.daemon.post(job, Idempotency_Key="key-1")
        again = self.daemon.post(job, Idempotency_Key="key-1")
        self.assertEqual(first[0], 202)
        self.assertEqual(first, again)
        status, answer = self.daemon.post(mail("other@one.test"), Idempotency_Key="key-1")
        self.assertEqual(status, 409)
        wait_until(lambda: self.world.receiver.received_by("once@one.test"), 30, "the mail")
        self.daemon.post(mail("after@one.test"))
        wait_until(lambda: self.world.receiver.received_by("after@one.test"), 30, "a later mail")
        self.assertEqual(len(self.world.receiver.received_by("once@one.test")), 1)
        self.assertEqual(self.world.receiver.received_by("other@one.test"), [])

    def test_a_dry_run_stores_nothing(self):
        before = self.accepted()
        status, answer = self.daemon.post(mail("dry@one.test"), "?dry_run=true")
        self.assertEqual(status, 200, answer)
        self.assertEqual(self.accepted(), before)

    def test_a_stream_of_lines_tells_the_bad_one_and_keeps_the_rest(self):
        lines = [{key: value for key, value in mail("x@one.test").items() if key != "recipients"}]
        lines += [{"to": f"line{n}@one.test"} for n in range(50)]
        lines.insert(20, "{not json")
        answers = self.daemon.submit_lines(lines)
        self.assertEqual(answers[-1]["accepted"], 50, answers)
        self.assertEqual([(answer["line"], answer["errors"][0]["code"]) for answer in answers if "errors" in answer],
                         [(21, "json.syntax")])
        wait_until(lambda: len([to for to in self.world.receiver.recipients() if to.startswith("line")]) == 50, 30,
                   "fifty mails")

    def test_a_raw_message_is_taken_with_its_envelope_in_the_query(self):
        raw = (b"From: a@news.example\r\nTo: raw@one.test\r\nSubject: raw\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
               b"Message-ID: <raw@news.example>\r\n\r\n.dots\r\n")
        status, _, body = self.daemon.request("POST", "/v1/messages?from=b@news.example&to=raw1@one.test&to=raw2@one.test",
                                              raw, {"Content-Type": "message/rfc822"})
        self.assertEqual((status, json.loads(body)["accepted"]), (202, 2), body)
        for to in ("raw1@one.test", "raw2@one.test"):
            entry = wait_until(lambda to=to: self.world.receiver.received_by(to), 30, to)[0]
            self.assertEqual((entry["from"], entry["data"]), ("b@news.example", raw))

    def test_mail_waits_for_its_time(self):
        import datetime
        due = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
        job = mail("later@one.test", send_at=due.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        self.daemon.submit(job)
        wait_until(lambda: self.world.receiver.received_by("later@one.test"), 30, "the mail")
        self.assertGreaterEqual(datetime.datetime.now(datetime.timezone.utc), due)

    def test_the_metrics_page_counts_the_mail(self):
        import urllib.request
        self.daemon.submit(mail("metered@one.test"))
        wait_until(lambda: self.world.receiver.received_by("metered@one.test"), 30, "the mail")
        def page():
            with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics", timeout=10) as answer:
                return answer.read().decode()
        wait_until(lambda: "sluice_messages_completed_total" in page(), 10, "the counter")
        self.assertRegex(page(), r"sluice_unaccounted_deliveries(\{[^}]*\})? 0\b")
