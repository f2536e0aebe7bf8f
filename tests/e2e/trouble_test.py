"""Receivers that die, hang or come late, and what becomes of the others meanwhile."""

import collections
import signal
import socket
import time

from harness import NOBODY, SILENT, Receiver, WholeRun, ledger, mail, wait_until


class Trouble(WholeRun):
    daemon_settings = {"retry": {"schedule": ["1s"], "expires": "10m"}, "timeouts": {"banner": "60s"}}

    def test_a_receiver_that_dies_in_the_middle_gets_the_rest_when_it_is_back(self):
        recipients = [f"{'slow-' if n % 10 == 0 else ''}m{n}@one.test" for n in range(300)]
        self.daemon.submit(mail(recipients))
        wait_until(lambda: len(self.world.receiver.messages()) > 30, 30, "the first mails")
        self.world.others.remove(self.world.receiver.process)
        self.world.receiver.process.end(signal.SIGKILL)
        wait_until(lambda: self.daemon.events(type="deferred"), 30, "a deferral")
        self.world.start_receiver()
        wait_until(lambda: set(self.world.receiver.recipients()) >= set(recipients), 60, "all of it")
        counts = collections.Counter(self.world.receiver.recipients())
        twice = [to for to in recipients if counts[to] > 1]  # taken, but the answer was cut off (RFC 1047)
        self.assertLessEqual(len(twice), 10, twice)

    def test_a_host_that_comes_up_late_gets_the_mail_that_waited(self):
        self.daemon.submit(mail([f"late{n}@dead.test" for n in range(50)]))
        wait_until(lambda: self.daemon.events(type="deferred", to="late0@dead.test"), 30, "a deferral")
        late = Receiver(self.world.folder, self.world.mail_port, (NOBODY,))
        self.addCleanup(late.process.end, signal.SIGKILL)
        wait_until(lambda: len(late.messages()) == 50, 60, "the mail")
        self.assertEqual(len(set(late.recipients())), 50)

    def test_a_receiver_that_never_speaks_does_not_hold_up_the_others(self):
        silent = socket.create_server((SILENT, self.world.mail_port), backlog=100)
        self.addCleanup(silent.close)
        self.daemon.submit(mail([f"held{n}@silent.test" for n in range(500)]))
        held, _ = silent.accept()  # the daemon waits for a greeting now
        self.addCleanup(held.close)
        began = time.monotonic()
        self.daemon.submit(mail([f"free{n}@two.test" for n in range(100)]))
        wait_until(lambda: sum(to.startswith("free") for to in self.world.receiver.recipients()) == 100, 20,
                   "the mail to others")
        self.assertLess(time.monotonic() - began, 20)
        self.assertGreaterEqual(ledger(self.daemon)["default"]["open"], 500)
