"""What the tests of the recipes stand on: what the documents show, the daemon, a broker, a client."""

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
SITE = ROOT / "tools/.site-recipes"
NODE_PACKAGES = ROOT / "tools/.site-node/node_modules"
FRAMES = ROOT / "examples/frames"

if not (SITE.is_dir() and NODE_PACKAGES.is_dir()):
    raise SystemExit("tools/.site-recipes or tools/.site-node is missing: run `tools/setup recipes` first")
sys.path.insert(0, str(SITE))
# Everything is on this machine: whatever proxy there is has no part in it.
os.environ.update(NO_PROXY="127.0.0.1,localhost", no_proxy="127.0.0.1,localhost")

# How long a test waits for something that must happen: long, since a busy machine is no failure.
PATIENCE = 60.0
POLL = 0.05

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


def free_port() -> int:
    """One that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
