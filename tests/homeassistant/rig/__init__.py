"""What the tests with Home Assistant stand on: its validators, its core, and the daemon as the tests of the page have it."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SITE = ROOT / "tools/.site-homeassistant"

if not SITE.is_dir() or sys.version_info < (3, 14, 2):
    raise SystemExit("run `tools/setup homeassistant` first, and then these tests with tools/.python-next/python")
os.environ["GLANCED_TEST_SITE"] = str(SITE)
sys.path.append(str(ROOT / "tests/web"))
import support  # noqa: F401: puts the packages on the path
