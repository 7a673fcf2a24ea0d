"""What the tests of the page stand on: the daemon and a broker as children, a camera, pictures, a browser."""

import os
import sys
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
import harness  # noqa: E402: the line before puts it on the path
from harness import HTTP, ROOT, binary, environment, find, free_port, listens  # noqa: E402, F401: for those who import from here

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
eventually = partial(harness.eventually, patience=PATIENCE)
