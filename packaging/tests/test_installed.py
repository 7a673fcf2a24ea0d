"""`apt install ./glanced_….deb` on a Debian 12 that runs: a service within its limits, that does its work."""

import json
import subprocess
import unittest

from package import PACKAGES, UNIT, boot, classify, feedback, install, stored, wait_until_up

# What may be there after a purge that was not there before: what others note of any package.
NOTED = r"^/(proc|sys|dev|run|shared|tmp|var/tmp|var/log|var/cache|var/lib/(dpkg|apt|systemd))(/|$)|^/etc/\.pwd\.lock$|^/etc/(passwd|group|shadow|gshadow)-$"
LIST = f"find / -xdev | grep -vE '{NOTED}' | sort"


@unittest.skipUnless(PACKAGES["amd64"], "make deb ARCH=amd64 has not been run")
class Installed(unittest.TestCase):
    """One machine for all: each test leaves the service running, with no configuration of its own."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.machine = boot()
        cls.addClassCleanup(cls.machine.stop)
        install(cls.machine, PACKAGES["amd64"])
        cls.config = cls.machine.run("cat", "/etc/glanced/config.toml").stdout

    def configure(self, text: str) -> None:
        self.machine.run("sh", "-c", "cat >/etc/glanced/config.toml", given=text)

    def drop_in(self, text: str) -> None:
        self.machine.run("mkdir", "-p", f"/etc/systemd/system/{UNIT}.d")
        self.machine.run("sh", "-c", f"cat >/etc/systemd/system/{UNIT}.d/test.conf", given=text)
        self.machine.run("systemctl", "daemon-reload")

    def show(self, name: str) -> str:
        return self.machine.read("systemctl", "show", "--property", name, "--value", UNIT)

    def test_it_runs_and_will_after_the_next_boot(self) -> None:
        self.assertEqual(self.machine.read("systemctl", "is-active", UNIT), "active")
        self.assertEqual(self.machine.read("systemctl", "is-enabled", UNIT), "enabled")
        self.assertIn("serving efficientnet-lite0 1", self.show("StatusText"))
        journal = self.machine.read("journalctl", "-u", UNIT, "--output=cat")
        self.assertRegex(journal, r"ok +model efficientnet-lite0 1: 1000 classes")
        self.assertEqual(self.machine.read("stat", "-c", "%U:%G %a", "/var/lib/glanced"), "glanced:glanced 750")
        self.assertEqual(self.machine.read("getent", "passwd", "glanced").split(":")[-1], "/usr/sbin/nologin")

    def test_the_package_is_whole_and_its_configuration_a_conffile(self) -> None:
        self.assertEqual(self.machine.run("dpkg", "--verify", "glanced").stdout, "")
        self.assertIn("/etc/glanced/config.toml", self.machine.read("dpkg-query", "--show", "--showformat=${Conffiles}", "glanced"))

    def test_it_classifies_frames_from_mosquitto(self) -> None:
        result = classify(self.machine, "gate")
        self.assertEqual(result["top3"][0]["label"], "espresso")
        self.assertGreater(result["top3"][0]["score"], 0.9)

    def test_it_runs_as_the_unit_says(self) -> None:
        status = self.machine.read("cat", f"/proc/{self.show('MainPID')}/status")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        self.assertEqual(fields["Uid"].split()[0], self.machine.read("id", "-u", "glanced"))
        self.assertEqual((fields["CapEff"], fields["CapBnd"]), ("0" * 16, "0" * 16))
        self.assertEqual((fields["NoNewPrivs"], fields["Seccomp"]), ("1", "2"))
        most = int(self.machine.read("awk", "/MemTotal/ { print $2 }", "/proc/meminfo")) * 1024 * 3 // 4
        self.assertAlmostEqual(int(self.show("MemoryMax")), most, delta=most // 100)
        self.assertEqual(self.show("CPUWeight"), "50")

    def test_it_learns_within_its_limits(self) -> None:
        said = "\n".join(feedback(n, ("tench", "goldfish")[n % 2], id=f"learn-{n}") for n in range(40))
        self.machine.run("mosquitto_pub", "-q", "1", "-t", "glanced/feedback", "-l", given=said + "\n")
        self.machine.wait_for("feedback", lambda: stored(self.machine) >= 40)
        url = "http://127.0.0.1:8080/api/retrain"
        self.machine.run("curl", "-fsS", "-X", "POST", url)

        def ended() -> dict | None:
            state = json.loads(self.machine.read("curl", "-fsS", url))
            return None if state["running"] else state["last"]

        last = self.machine.wait_for("end of the training", ended, 300)
        self.assertIsNone(last["error"])
        self.assertIn(last["report"]["verdict"], ("promote", "keep", "reject"))
        self.assertGreater(last["report"]["n_train"], 0)

    def test_a_secret_that_root_alone_can_read_is_used(self) -> None:
        settings = "listener 1884 127.0.0.1\nallow_anonymous false\npassword_file /etc/mosquitto/users\n"
        config = '[mqtt]\nurl = "mqtt://127.0.0.1:1884"\nusername = "box"\n'
        self.machine.run("sh", "-c", "cat >/etc/mosquitto/users", given="box:hunter2\n")
        self.machine.run("mosquitto_passwd", "-U", "/etc/mosquitto/users")
        self.machine.run("chown", "mosquitto", "/etc/mosquitto/users")
        self.machine.run("sh", "-c", "cat >/etc/mosquitto/second.conf", given=settings)
        with self.machine.popen("mosquitto", "-c", "/etc/mosquitto/second.conf", stderr=subprocess.DEVNULL) as broker:
            try:
                self.machine.run("sh", "-c", "umask 077; cat >/etc/glanced/mqtt-password", given="hunter2\n")
                self.configure(config)
                self.machine.run("systemctl", "restart", UNIT)
                login = ["-p", "1884", "-u", "box", "-P", "hunter2"]
                listening = ["mosquitto_pub", *login, "-t", "hello", "-n"]
                self.machine.wait_for("broker", lambda: self.machine.run(*listening, check=False).returncode == 0)
                self.assertEqual(classify(self.machine, "door", *login)["camera"], "door")
                self.assertNotIn("hunter2", self.machine.read("journalctl", "-u", UNIT, "--output=cat"))
            finally:
                self.machine.run("rm", "-f", "/etc/glanced/mqtt-password")
                self.configure(self.config)
                self.machine.run("systemctl", "restart", UNIT)
                broker.terminate()

    def test_a_wrong_configuration_is_tried_once(self) -> None:
        self.drop_in("[Service]\nRestartSec=100ms\n")
        self.configure("[mqtt]\nurll = 1\n")
        try:
            self.assertNotEqual(self.machine.run("systemctl", "restart", UNIT, check=False).returncode, 0)
            # Had it been due to be tried again, it would be "activating".
            self.assertEqual(self.show("ActiveState"), "failed")
            self.assertEqual((self.show("ExecMainStatus"), self.show("NRestarts")), ("78", "0"))
            self.assertIn("did you mean mqtt.url?", self.machine.read("journalctl", "-u", UNIT, "--output=cat"))
        finally:
            self.configure(self.config)
            self.machine.run("rm", "-r", f"/etc/systemd/system/{UNIT}.d")
            self.machine.run("systemctl", "daemon-reload")
            self.machine.run("systemctl", "restart", UNIT)

    def test_a_watchdog_that_is_not_pinged_ends_it_and_it_comes_back(self) -> None:
        first, restarts = self.show("MainPID"), int(self.show("NRestarts"))
        self.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", UNIT)
        self.machine.wait_for("new process", lambda: self.show("MainPID") not in ("0", first))
        wait_until_up(self.machine)
        self.assertEqual(int(self.show("NRestarts")), restarts + 1)

    def test_the_manual_and_the_completions_are_there(self) -> None:
        self.assertRegex(self.machine.read("sh", "-c", "man glanced-feedback | cat"), r"(?s)glanced\s+feedback.*<subcommands>")
        page = self.machine.read("sh", "-c", "man glanced | cat")
        for heading in ("NAME", "SYNOPSIS", "FILES", "EXIT STATUS"):
            self.assertRegex(page, rf"(?m)^{heading}$")
        asked = """
            . /usr/share/bash-completion/completions/glanced
            COMP_WORDS=(glanced mo); COMP_CWORD=1
            $(complete -p glanced | sed -E 's/.*-F ([^ ]+).*/\\1/') glanced mo glanced
            echo "${COMPREPLY[@]}"
        """
        self.assertEqual(self.machine.read("bash", "-c", asked), "model")


@unittest.skipUnless(PACKAGES["amd64"], "make deb ARCH=amd64 has not been run")
class Gone(unittest.TestCase):
    """Taken off again."""

    def test_a_removal_leaves_what_is_the_users_and_a_purge_leaves_nothing(self) -> None:
        machine = boot()
        self.addCleanup(machine.stop)
        before = set(machine.read("sh", "-c", LIST).splitlines())
        install(machine, PACKAGES["amd64"])
        machine.run("sh", "-c", "umask 077; cat >/etc/glanced/mqtt-password", given="hunter2\n")
        machine.run("mosquitto_pub", "-q", "1", "-t", "glanced/feedback", "-m", feedback(1, "espresso"))
        machine.wait_for("feedback", lambda: stored(machine) == 1)

        machine.run("apt-get", "remove", "--yes", "glanced")
        self.assertNotEqual(machine.run("systemctl", "is-active", UNIT, check=False).returncode, 0)
        machine.run("test", "-f", "/etc/glanced/config.toml")
        machine.run("test", "-d", "/var/lib/glanced/feedback")

        machine.run("apt-get", "purge", "--yes", "glanced")
        left = set(machine.read("sh", "-c", LIST).splitlines()) - before
        self.assertEqual(left, set())
        self.assertEqual(machine.run("getent", "passwd", "glanced", check=False).stdout, "")

        install(machine, PACKAGES["amd64"])
        wait_until_up(machine)
