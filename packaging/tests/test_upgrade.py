"""A newer version over an older one, while people say things."""

import json
import unittest
from pathlib import Path

from package import PACKAGES, UNIT, Talker, boot, classify, install, rebuilt, stored, wait_until_up


@unittest.skipUnless(PACKAGES["amd64"], "make deb ARCH=amd64 has not been run")
class Upgraded(unittest.TestCase):
    """From a package that is older by its number, and had another configuration file."""

    def test_it_loses_nothing(self) -> None:
        machine = boot()
        self.addCleanup(machine.stop)
        old = rebuilt(machine.shared / PACKAGES["amd64"].name, "0.0.9-1", older)
        install(machine, old)
        wait_until_up(machine)
        config = '[mqtt]\nnode = "mine"\n'
        machine.run("sh", "-c", "cat >/etc/glanced/config.toml", given=config)
        machine.run("systemctl", "restart", UNIT)
        # Learnt, as far as files go: a version of the model of its own, in use.
        machine.run("glanced", "model", "new", "gate", "--from", "efficientnet-lite0", "--labels", "open,closed", user="glanced")
        models = machine.read("glanced", "model", "list", "--json", user="glanced")
        self.assertIn("gate", models)

        first = machine.read("systemctl", "show", "--property=MainPID", "--value", UNIT)
        talker = Talker(machine)
        try:
            machine.wait_for("feedback", lambda: stored(machine) >= 20)
            before = stored(machine)
            # What dpkg asks about the configuration that both have changed, it answers by itself: the user's stays.
            install(machine, PACKAGES["amd64"], "-o", "Dpkg::Options::=--force-confold")
            machine.wait_for("feedback", lambda: stored(machine) >= before + 40)
        finally:
            talker.stop()
        machine.wait_for("all feedback", lambda: stored(machine) >= talker.said)
        self.assertEqual(stored(machine), talker.said)
        listed = json.loads(machine.read("glanced", "feedback", "list", "--json", "--limit", "100000"))
        said = {statement["sender_id"] for statement in listed["feedback"]}
        self.assertEqual(said, {f"said-{number}" for number in range(talker.said)})

        self.assertNotEqual(machine.read("systemctl", "show", "--property=MainPID", "--value", UNIT), first)
        self.assertEqual(machine.read("dpkg-query", "--show", "--showformat=${Version}", "glanced"), "0.1.0-1")
        self.assertEqual(machine.read("cat", "/etc/glanced/config.toml"), config.strip())
        self.assertEqual(machine.read("glanced", "model", "list", "--json", user="glanced"), models)
        self.assertEqual(classify(machine, "gate")["node"], "mine")


def older(tree: Path) -> None:
    (tree / "etc/glanced/config.toml").write_text("# This one was shorter.\n", "utf-8")
