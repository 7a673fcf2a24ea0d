"""What the tests of the recipes stand on: what the documents show, the daemon, a broker, a client."""

import os
import sys
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
import harness  # noqa: E402: the line before puts it on the path
from harness import HTTP, ROOT, binary, environment, find, free_port, listens  # noqa: E402, F401: for those who import from here

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
eventually = partial(harness.eventually, patience=PATIENCE)
