"""Delivery status notifications: who is told of what, read with Python's own parser."""

import email
import email.policy
import smtplib

from harness import WholeRun, mail, wait_until


class Reports(WholeRun):
    daemon_settings = {"retry": {"schedule": ["1s"], "expires": "20s"}, "dsn": {"delay_after": "2s"}}

    def reports_to(self, sender, count=1, seconds=30):
        """So many reports, parsed."""
        wait_until(lambda: len(self.world.receiver.received_by(sender)) >= count, seconds, f"{count} reports to {sender}")
        entries = self.world.receiver.received_by(sender)
        for entry in entries:
            self.assertEqual(entry["from"], "<>", "a report has the null sender")
        return [email.message_from_bytes(entry["data"], policy=email.policy.default) for entry in entries]

    def fields_of(self, report):
        """The per-message fields and those of each recipient."""
        self.assertEqual(report.get_content_type(), "multipart/report")
        self.assertEqual(report.get_param("report-type"), "delivery-status")
        self.assertEqual(report["Auto-Submitted"], "auto-replied")
        self.assertTrue(report["Date"] and report["Message-ID"])
        status = [part for part in report.iter_parts() if part.get_content_type() == "message/delivery-status"][0]
        return status.get_payload()

    def send(self, sender, to):
        self.daemon.submit(mail(to, subject="Greetings", sender=sender, dsn=True))

    def ended(self, to):
        wait_until(lambda: [e for e in self.daemon.events(to=to) if e["type"] in ("delivered", "bounced", "expired")],
                   30, f"the end of {to}")

    def test_a_bounce_is_told_with_all_that_rfc_3464_asks_for(self):
        self.send("a@one.test", "r550-a@two.test")
        report, = self.reports_to("a@one.test")
        message, recipient = self.fields_of(report)
        self.assertEqual(report["Subject"], "Undelivered mail: Greetings")
        self.assertEqual(message["Reporting-MTA"], "dns; out1.e2e.test")
        self.assertTrue(message["Arrival-Date"])
        self.assertEqual((recipient["Final-Recipient"], recipient["Action"], recipient["Status"]),
                         ("rfc822; r550-a@two.test", "failed", "5.1.1"))
        self.assertEqual(recipient["Remote-MTA"], "dns; mx.two.test")
        self.assertEqual(recipient["Diagnostic-Code"], "smtp; 550 5.1.1 No such user here")
        self.assertTrue(recipient["Last-Attempt-Date"])
        original = [part for part in report.iter_parts() if part.get_content_type() == "text/rfc822-headers"][0]
        self.assertIn("Subject: Greetings", original.get_content())
        self.assertNotIn("Hello", original.get_content())

    def by_smtp(self, sender, to, mail_options=(), rcpt_options=()):
        with smtplib.SMTP("127.0.0.1", self.daemon.smtp_port) as client:
            client.sendmail(sender, to, f"From: <{sender}>\r\nSubject: Greetings\r\n\r\nHello\r\n", list(mail_options),
                            list(rcpt_options))

    def test_over_smtp_a_bounce_is_told_without_being_asked_for(self):
        self.by_smtp("s1@one.test", "r550-s1@two.test", ["RET=FULL", "ENVID=QQ314+2B159"], ["ORCPT=rfc822;Ann@Two.test"])
        report, = self.reports_to("s1@one.test")
        message, recipient = self.fields_of(report)
        self.assertEqual(message["Original-Envelope-Id"], "QQ314+159")
        self.assertEqual(recipient["Original-Recipient"], "rfc822; Ann@Two.test")
        original = [part for part in report.iter_parts() if part.get_content_type() == "message/rfc822"][0]
        self.assertIn("Hello", original.as_string())

    def test_over_smtp_success_is_told_where_it_is_asked_for_and_the_host_would_not(self):
        self.by_smtp("s2@one.test", "fine-s2@two.test", rcpt_options=["NOTIFY=SUCCESS"])
        report, = self.reports_to("s2@one.test")
        _, recipient = self.fields_of(report)
        self.assertEqual((recipient["Action"], recipient["Status"], recipient["Final-Recipient"]),
                         ("relayed", "2.0.0", "rfc822; fine-s2@two.test"))

    def test_over_smtp_nothing_is_told_where_notify_is_never(self):
        self.by_smtp("s3@one.test", "r550-s3@two.test", rcpt_options=["NOTIFY=NEVER"])
        self.ended("r550-s3@two.test")
        self.settle()
        self.assertEqual(self.world.receiver.received_by("s3@one.test"), [])

    def test_an_expiry_is_told_with_the_last_answer(self):
        self.daemon.submit(mail("r451-b@two.test", sender="b@one.test", expires_in="1500ms", dsn=True))
        report, = self.reports_to("b@one.test")
        _, recipient = self.fields_of(report)
        self.assertEqual((recipient["Action"], recipient["Status"]), ("failed", "4.4.7"))
        self.assertEqual(recipient["Diagnostic-Code"], "smtp; 451 4.7.1 Come back later")
        expired = [event for event in self.daemon.events(to="r451-b@two.test") if event["type"] == "expired"][0]
        self.assertIn("451 4.7.1 Come back later", expired["reply"])

    def test_mail_that_is_late_is_told_of_once_and_then_of_its_end(self):
        self.daemon.submit(mail("r451-c@two.test", sender="c@one.test", expires_in="7s", dsn=True))
        reports = self.reports_to("c@one.test", 2)
        actions = [self.fields_of(report)[1]["Action"] for report in reports]
        self.assertEqual(actions, ["delayed", "failed"])
        late = self.fields_of(reports[0])[1]
        self.assertTrue(late["Will-Retry-Until"])
        self.assertEqual(late["Status"], "4.7.1")

    def test_a_bounce_of_a_report_makes_no_report(self):
        self.daemon.submit(mail("r550-d@two.test", sender="r550-gone@one.test", dsn=True))
        self.ended("r550-gone@one.test")
        self.assertEqual(self.daemon.events(to="r550-gone@one.test")[-1]["type"], "bounced")
        self.settle()
        self.assertEqual([e for e in self.daemon.events() if e["type"] == "accepted" and e.get("to") in ("", None)], [])
        accepted = [e for e in self.daemon.events(to="r550-gone@one.test") if e["type"] == "accepted"]
        self.assertEqual(len(accepted), 1)

    def test_mail_without_a_sender_is_never_told_of(self):
        self.daemon.submit(mail("r550-e@two.test", sender="", dsn=True))
        self.ended("r550-e@two.test")
        self.settle()
        about = self.daemon.events(to="r550-e@two.test")[0]["delivery"]
        self.assertEqual([e for e in self.daemon.events() if e.get("meta", {}).get("about") == about], [])

    def test_a_job_that_does_not_ask_is_not_told_of(self):
        self.daemon.submit(mail("r550-f@two.test", sender="f@one.test"))
        self.ended("r550-f@two.test")
        self.settle()
        self.assertEqual(self.world.receiver.received_by("f@one.test"), [])

    def test_recipients_of_one_transaction_are_told_of_together(self):
        self.send("g@one.test", ["r550-g1@two.test", "r550-g2@two.test", "r550-g3@two.test"])
        wait_until(lambda: self.recipients_told("g@one.test") == 3, 20, "three recipients")
        self.assertLessEqual(len(self.world.receiver.received_by("g@one.test")), 3)

    def recipients_told(self, sender):
        return sum(len(self.fields_of(email.message_from_bytes(entry["data"], policy=email.policy.default))) - 1
                   for entry in self.world.receiver.received_by(sender))

    def test_what_happens_is_counted_as_mail_of_the_same_tenant(self):
        self.send("h@one.test", "r550-h@two.test")
        self.reports_to("h@one.test")
        report = [e for e in self.daemon.events(to="h@one.test") if e["type"] == "accepted"][0]
        self.assertEqual((report["class"], report["meta"]["report"]), ("transactional", "failed"))
        self.assertEqual(report.get("from", ""), "")

    def settle(self):
        """Until nothing is open any more: what would still be sent is in the ledger from the moment it is decided."""
        wait_until(lambda: all(t["open"] == 0 for t in self.daemon.get("/v1/status")["tenants"].values()), 30,
                   "an empty queue")


class ReportsAfterACrash(WholeRun):
    daemon_settings = {"retry": {"schedule": ["1s"], "expires": "1h"}}

    def test_every_bounce_is_told_although_the_daemon_is_killed_meanwhile(self):
        told, bounced = set(), 200
        self.daemon.submit(mail([f"r550-k{i}@two.test" for i in range(bounced)], sender="k@one.test", dsn=True))
        wait_until(lambda: [e for e in self.daemon.events() if e["type"] == "bounced"], 30, "a first bounce")
        self.daemon.kill()
        self.daemon.start()
        wait_until(lambda: all(t["open"] == 0 for t in self.daemon.get("/v1/status")["tenants"].values()), 60, "the end")
        for entry in self.world.receiver.received_by("k@one.test"):
            report = email.message_from_bytes(entry["data"], policy=email.policy.default)
            status = [part for part in report.iter_parts() if part.get_content_type() == "message/delivery-status"][0]
            told |= {fields["Final-Recipient"] for fields in status.get_payload()[1:]}
        events = self.daemon.events()
        self.assertEqual(told, {f"rfc822; r550-k{i}@two.test" for i in range(bounced)})
        self.assertEqual(sum(e["type"] == "bounced" for e in events), bounced)
