"""kill -9 under load, again and again, with a receiver full of faults: what was accepted arrives, whatever the moment, and
every duplicate was named in doubt."""

import collections
import pathlib
import random
import statistics
import time

from harness import PYTHON, RECEIVER, TERMINAL, Process, WholeRun, accepts, ledger, settings, wait_until
from load import Load

CONNECTIONS = 10


class Faulty:
    """faulty_receiver.py and what it has written down: by recipient, contents that it said 250 to, or nothing."""

    def __init__(self, world, seed):
        self.journal = world.folder / "faulty.journal"
        self.journal.touch()
        script = pathlib.Path(__file__).with_name("faulty_receiver.py")
        self.process = Process("faulty", [PYTHON, script, "--journal", self.journal, "--seed", seed,
                                          f"{RECEIVER}:{world.mail_port}"], world.folder)
        world.others.append(self.process)
        wait_until(lambda: accepts(RECEIVER, world.mail_port) or not self.process.running(), 20, "the receiver's start")

    def taken(self):
        taken, cut = collections.Counter(), collections.Counter()
        for line in self.journal.read_text().splitlines():
            answer, *recipients = line.split()
            if answer != "451":
                (taken if answer == "250" else cut).update(recipients)
        return taken, cut


class Crash(WholeRun):
    receivers = ()
    daemon_settings = {"delivery": {"connections": CONNECTIONS}}

    def test_nothing_accepted_is_lost_over_kills_at_random_moments(self):
        choose = random.Random(settings()["seed"])
        kills = 200 if settings()["long"] else 20
        faulty = Faulty(self.world, settings()["seed"])
        load = Load(self.daemon)
        self.addCleanup(load.end)
        starts = []
        for kill in range(kills):
            time.sleep(choose.uniform(0.05, 1.2))
            self.daemon.kill()
            began = time.monotonic()
            self.daemon.start()
            starts.append(time.monotonic() - began)
        time.sleep(1)
        load.end()
        wait_until(lambda: ledger(self.daemon)["default"]["open"] == 0, 240, "the end of all deliveries")
        self.check(load, faulty, starts)

    def check(self, load, faulty, starts):
        events = self.daemon.events()
        self.assert_complete(events)
        stories = collections.defaultdict(list)
        for event in events:
            stories[event["to"]].append(event)
        self.assert_legal(stories)
        ends = {to: story[-1]["type"] for to, story in stories.items()}
        taken, cut = faulty.taken()
        lost = [to for to in load.accepted if ends.get(to) not in ("delivered", "bounced")]
        lost += [to for to, end in ends.items() if end == "delivered" and to not in taken]
        doubts = collections.Counter(event["to"] for event in events if event.get("in_doubt"))
        duplicates = {to: taken[to] + cut[to] - 1 for to in taken + cut if taken[to] + cut[to] > 1}
        unnamed = {to: count for to, count in duplicates.items() if count > doubts[to]}
        by_crash = sum("daemon ended" in event.get("reply", "") for event in events)
        print(f"      {len(starts)} kills, each start {statistics.median(starts):.2f} s (median), {max(starts):.2f} s at worst: "
              f"{len(load.accepted)} recipients accepted, {len(load.unknown)} jobs in doubt, {len(lost)} lost; "
              f"{doubts.total()} deliveries named in doubt ({by_crash} by kills), {sum(duplicates.values())} duplicates, "
              f"{len(unnamed)} of them not named; {len(events)} events")
        self.assertGreater(len(load.accepted), len(starts) * 20, "too little load to show anything")
        self.assertGreater(by_crash, 0, "no kill fell between a content and its outcome")
        self.assertEqual(lost, [])
        self.assertEqual(unnamed, {})
        for recipients in load.unknown:
            arrived = [to for to in recipients if to in ends]
            self.assertIn(len(arrived), (0, len(recipients)), "a job in doubt is there whole or not at all")
        known = set(load.accepted).union(*load.unknown) if load.unknown else set(load.accepted)
        self.assertEqual(set(taken + cut) - known, set())
        counts = ledger(self.daemon)["default"]
        self.assertEqual(counts["accepted"], len(ends))
        for kind in TERMINAL:
            self.assertEqual(counts[kind], sum(end == kind for end in ends.values()))

    def assert_legal(self, stories):
        """accepted, then deferrals whose attempts count up by one, then one end of the next attempt; and whatever follows
        a doubt says so."""
        for to, story in stories.items():
            types = [event["type"] for event in story]
            self.assertEqual((types[0], types.count("accepted")), ("accepted", 1), f"{to}: {types}")
            self.assertEqual(set(types[1:-1]) - {"deferred"}, set(), f"{to}: {types}")
            attempts = [event["attempt"] for event in story[1:]]
            self.assertEqual(attempts, list(range(1, len(story))), f"{to}: {types}")
            doubt = False
            for event in story[1:]:
                self.assertEqual(event.get("may_be_duplicate", False), doubt, f"{to}: {story}")
                doubt |= event.get("in_doubt", False)
