"""What the suites in Python share: the daemon's program, asking again and again, ports. Needs no package."""

import os
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
POLL = 0.02
# Not what the environment says of proxies, and no redirect that hides an answer.
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))

T = TypeVar("T")


def eventually(what: str, ask: Callable[[], T | None], patience: float) -> T:
    """Asks again and again until there is an answer that counts as true."""
    end = time.monotonic() + patience
    while True:
        if answer := ask():
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience:.0f} s in vain: {what}")
        time.sleep(POLL)


def binary() -> Path:
    """The daemon's program."""
    path = Path(os.environ.get("GLANCED_BIN", ROOT / "target/debug/glanced")).resolve()
    if not path.is_file():
        raise SystemExit(f"{path} is missing: run `cargo build` first, or say in GLANCED_BIN where it is")
    return path


def find(program: str) -> str:
    """The path of a program; Debian has some where only root's PATH leads."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/local/sbin")
    if not found:
        raise SystemExit(f"{program} was not found: `tools/setup` installs what the tests need, with `web` or `recipes` too")
    return found


def free_port() -> int:
    """One that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def environment(keys: dict[str, object]) -> dict[str, str]:
    """The environment without keys of the daemon, but for these, such as `mqtt__url`, and a precision, so that answers are the same
    on all machines."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GLANCED__")}
    ours["GLANCED__INFERENCE__PRECISION"] = "fp32"
    for key, value in keys.items():
        ours[f"GLANCED__{key.upper()}"] = str(value).lower() if isinstance(value, bool) else str(value)
    return ours
