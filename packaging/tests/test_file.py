"""The packages as files."""

import re
import subprocess
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from package import PACKAGES

MOST_BYTES = 60_000_000


def said_by(*command: object) -> str:
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def number(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


class Tests:
    """For each of them."""

    architecture: str

    def setUp(self) -> None:
        self.package = PACKAGES[self.architecture]
        if not self.package:
            self.skipTest(f"make deb ARCH={self.architecture} has not been run")
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        said_by("dpkg-deb", "--extract", self.package, self.folder)

    def test_it_is_small(self) -> None:
        self.assertLess(self.package.stat().st_size, MOST_BYTES)

    def test_lintian_finds_no_errors(self) -> None:
        command = ["lintian", "--allow-root", "--fail-on=error", "--tag-display-limit=0", self.package]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_programs_need_no_newer_c_library_than_the_package_says(self) -> None:
        depends = said_by("dpkg-deb", "--field", self.package, "Depends")
        said = number(re.search(r"libc6 \(>= ([\d.]+)\)", depends)[1])
        for file in ("usr/bin/glanced", "usr/lib/glanced/libonnxruntime.so"):
            versions = re.findall(r"GLIBC_([\d.]+)", said_by("readelf", "--version-info", "--wide", self.folder / file))
            self.assertLessEqual(max(map(number, versions)), said, file)

    def test_it_holds_the_licences_of_all_that_is_in_it(self) -> None:
        documents = self.folder / "usr/share/doc/glanced"
        crates = said_by("zcat", documents / "crates.txt.gz")
        for crate in ("mozjpeg-sys", "ring", "rustls", "sled", "tokio"):
            self.assertTrue(re.search(rf"(?m)^ +{crate} \d", crates), crate)
        self.assertIn("Permission is hereby granted", crates)
        self.assertIn("protobuf", said_by("zcat", documents / "onnxruntime.txt.gz"))
        copyright = (documents / "copyright").read_text("utf-8")
        for owner in ("Independent JPEG Group", "Microsoft", "ML Illustrated", "Princeton University"):
            self.assertIn(owner, copyright)


class Amd64(Tests, unittest.TestCase):
    """For x86-64."""

    architecture = "amd64"


class Arm64(Tests, unittest.TestCase):
    """For ARM."""

    architecture = "arm64"
