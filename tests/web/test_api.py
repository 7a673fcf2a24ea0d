"""The API does what its own description says, whatever is sent to it."""

import json
import os
import re
import subprocess
import sys
import unittest

from support import SITE
from support.node import Node
from support.pictures import DOUBTFUL, GREEN, RED, YELLOW, scene, striped

TOKEN = "a-token-of-24-characters"
# Paths of the contract, whatever else there may be.
PATHS = {
    "/api/session": {"get", "post", "delete"},
    "/api/classify": {"post"},
    "/api/feedback": {"post"},
    "/api/feedback/{feedback}": {"delete"},
    "/api/feedback/stats": {"get"},
    "/api/labels": {"get"},
    "/api/live": {"get"},
    "/api/cameras": {"get"},
    "/api/frames": {"get"},
    "/api/frames/{frame}": {"get", "delete"},
    "/api/models": {"get", "post"},
    "/api/models/{version}/promote": {"post"},
    "/api/models/rollback": {"post"},
    "/api/retrain": {"get", "post", "delete"},
    "/api/node": {"get"},
}
RUN = "import sys; from schemathesis.cli import schemathesis; schemathesis(sys.argv[1:])"


class Api(unittest.TestCase):
    def guarded(self) -> Node:
        """A node with something of everything, and a token: without it all is refused, and that is tried too."""
        node = Node(store__collect=True)
        self.addCleanup(node.stop)
        # Two versions, so that one can go back and forth.
        node.teach({"yellow": (YELLOW, 24), "red": (RED, 12), "green": (GREEN, 12)})
        node.run("retrain", "--promote")
        node.set("http__token_file", node.write("token", TOKEN)).start()
        self.token = {"Authorization": f"Bearer {TOKEN}"}
        for number in range(3):
            node.cameras.show("gate", scene(number, DOUBTFUL))
        node.say("red", striped(RED, 1), **self.token)
        return node

    def test_the_description_is_whole(self) -> None:
        node = self.guarded()
        described = node.request("GET", "/api/openapi.json", **self.token).json()
        named = {path: set(methods) - {"parameters"} for path, methods in described["paths"].items()}
        for path, methods in PATHS.items():
            self.assertLessEqual(methods, named.get(path, set()), path)
        for reference in re.findall(r'"#/([^"]+)"', json.dumps(described)):
            found = described
            for part in reference.split("/"):
                self.assertIn(part, found, f"#/{reference} leads nowhere")
                found = found[part]
        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                self.assertTrue(operation.get("summary"), f"{method} {path} has no summary")

    def test_whatever_is_sent_no_answer_is_an_error_of_ours_or_one_that_is_not_described(self) -> None:
        node = self.guarded()
        command = [
            *(sys.executable, "-B", "-c", RUN, "run", f"{node.url}/api/openapi.json"),
            *("-H", f"Authorization: Bearer {TOKEN}"),
            # The same each time: what fails here fails on another machine.
            *("--seed", "1", "--max-examples", "40", "--generation-deterministic"),
            # It has no end, and a client that waits for one waits for ever.
            *("--exclude-path", "/api/live"),
            # More would be refused with 429, and test nothing else.
            *("--rate-limit", "45/s"),
            # What has the form may still be wrong: bytes that are no picture, an id of nothing.
            *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
            *("--request-timeout", "10", "--continue-on-failure", "--no-color"),
        ]
        environment = os.environ | {"PYTHONPATH": str(SITE), "COLUMNS": "120"}
        done = subprocess.run(
            command, cwd=node.folder, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        self.assertEqual(done.returncode, 0, done.stdout.partition("== WARNINGS ==")[0] + done.stderr)
        self.assertEqual(node.request("GET", "/healthz").status, 200)
