"""What the tests of the page stand on: the daemon and a broker as children, a camera, pictures, a browser."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[3]
# The tests with Home Assistant use what is here, too, with other packages.
SITE = Path(os.environ.get("GLANCED_TEST_SITE", ROOT / "tools/.site-web"))
ASSETS = ROOT / "src/web/assets"
VENDOR = ROOT / "tests/web/vendor"

if not SITE.is_dir():
    raise SystemExit(f"{SITE} is missing: run `tools/setup web` first")
sys.path.insert(0, str(SITE))
# Everything is on this machine: whatever proxy there is has no part in it, and the driver is the one that is installed.
os.environ.update(NO_PROXY="127.0.0.1", no_proxy="127.0.0.1", SE_OFFLINE="true", SE_AVOID_STATS="true")

# How long a test waits for something that must happen: long, since a busy machine is no failure.
PATIENCE = 30.0
POLL = 0.02

T = TypeVar("T")


def eventually(what: str, ask: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """Asks again and again until there is an answer that counts as true."""
    end = time.monotonic() + patience
    while True:
        if answer := ask():
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience:.0f} s in vain: {what}")
        time.sleep(POLL)
