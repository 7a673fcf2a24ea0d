"""Puts the pinned packages of `tools/.site` on the path. Import it before numpy, onnx or onnxruntime."""

import os
import sys
from pathlib import Path

SITE = Path(__file__).resolve().parent / ".site"

if not SITE.is_dir():
    raise SystemExit("tools/.site is missing: run `make setup` first")
sys.path.insert(0, str(SITE))
# Without it, ONNX Runtime reports to its makers over the network how it is used.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
