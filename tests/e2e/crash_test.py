"""kill -9 under load, again and again: what was accepted arrives, whatever the moment."""

import collections
import http.client
import random
import threading
import time

from harness import TERMINAL, WholeRun, ledger, mail, settings, wait_until

LOADERS = 4
JOB_RECIPIENTS = 10
JOBS_PER_SECOND = 10  # of each loader: 400 recipients a second, which the receiver can keep up with
CONNECTIONS = 10
SITES = 2
IN_FLIGHT = 4  # messages of a connection between the receiver's 250 and our durable note of it


class Load:
    """Submits jobs without a pause from several threads, and remembers what it was told of each."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.running = True
        self.accepted, self.unknown = [], []  # recipients of jobs; a list for each job in doubt
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.submit, args=(n,)) for n in range(LOADERS)]
        for thread in self.threads:
            thread.start()

    def submit(self, loader):
        number = 0
        while self.running:
            number += 1
            recipients = [f"l{loader}-{number}-{n}@{('one', 'two')[n % 2]}.test" for n in range(JOB_RECIPIENTS)]
            try:
                status, _ = self.daemon.post(mail(recipients))
                assert status == 202, status
                with self.lock:
                    self.accepted += recipients
            except ConnectionRefusedError:
                pass  # never reached the daemon
            except (OSError, http.client.HTTPException, ValueError):
                with self.lock:
                    self.unknown.append(recipients)
            time.sleep(1 / JOBS_PER_SECOND)

    def end(self):
        self.running = False
        for thread in self.threads:
            thread.join(60)


class Crash(WholeRun):
    daemon_settings = {"delivery": {"connections": CONNECTIONS}}

    def test_nothing_accepted_is_lost_over_kills_at_random_moments(self):
        choose = random.Random(settings()["seed"])
        kills = 100 if settings()["long"] else 20
        load = Load(self.daemon)
        self.addCleanup(load.end)
        for kill in range(kills):
            time.sleep(choose.uniform(0.05, 1.2))
            self.daemon.kill()
            self.daemon.start()
        time.sleep(1)
        load.end()
        wait_until(lambda: ledger(self.daemon)["default"]["open"] == 0, 240, "the end of all deliveries")
        self.check(load, kills)

    def check(self, load, kills):
        received = collections.Counter(self.world.receiver.recipients())
        lost = [to for to in load.accepted if to not in received]
        duplicates = sum(count - 1 for count in received.values())
        print(f"      {kills} kills: {len(load.accepted)} recipients accepted, {len(load.unknown)} jobs in doubt, "
              f"{len(lost)} lost, {duplicates} duplicates")
        self.assertGreater(len(load.accepted), kills * 20, "too little load to show anything")
        self.assertEqual(lost, [])
        for recipients in load.unknown:
            arrived = [to for to in recipients if to in received]
            self.assertIn(len(arrived), (0, len(recipients)), "a job in doubt is there whole or not at all")
        known = set(load.accepted).union(*load.unknown) if load.unknown else set(load.accepted)
        self.assertEqual(set(received) - known, set())
        self.assertLessEqual(duplicates, kills * SITES * CONNECTIONS * IN_FLIGHT)

        events = self.daemon.events()
        self.assert_complete(events)
        counts = ledger(self.daemon)["default"]
        self.assertEqual(counts["accepted"], sum(event["type"] == "accepted" for event in events))
        self.assertEqual(counts["accepted"], len(received))
        self.assertEqual(sum(counts[kind] for kind in TERMINAL), counts["accepted"])
