"""docs/prometheus.md: Prometheus reads a real node as documented; alerts speak when they should; the dashboard has data."""

import json
import re
import tempfile
import time
import unittest
from pathlib import Path
from urllib.parse import quote

from support import DOCS, FRAMES, PATIENCE, eventually, find, free_port
from support.broker import Mosquitto, Peer
from support.docs import block, replace
from support.node import Node, get
from support.process import Process, shell

from grafana_foundation_sdk.cog.encoder import JSONEncoder  # isort: skip: `support` puts it on the path
from grafana_foundation_sdk.cog.plugins import register_default_plugins  # isort: skip
from grafana_foundation_sdk.models.dashboard import Dashboard  # isort: skip

DOCUMENT = "prometheus.md"
FOLDER = DOCS / "prometheus"


def dashboard() -> dict:
    return json.loads((DOCS / "grafana.json").read_text("utf-8"))


def expressions() -> list[tuple[str, str]]:
    """Each expression of the dashboard, with where it is, as Grafana would send it."""
    found = [(panel["title"], target["expr"]) for panel in dashboard()["panels"] for target in panel["targets"]]
    return [(title, as_sent(expr)) for title, expr in found]


def as_sent(expr: str) -> str:
    return expr.replace("$instance", ".*").replace("$__rate_interval", "10s")


class PrometheusRecipe(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="glanced-recipes-")
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.broker = Mosquitto(cls.folder)
        cls.addClassCleanup(cls.broker.stop)
        shell(block(DOCUMENT, "token").replace("/etc/glanced", str(cls.folder)).partition("chown")[0], cls.folder)
        cls.token = (cls.folder / "token").read_text().strip()
        toml = block(DOCUMENT, "daemon").replace("/etc/glanced", str(cls.folder))
        toml = replace(toml, {"0.0.0.0:8080": "0.0.0.0:0"}) + "\n[store]\ncollect = true\n"
        # The document's address is all of them; what it says of itself names none that can be asked.
        cls.node = Node(cls.folder, "box-7", mqtt__url=cls.broker.url)
        del cls.node._keys["http__listen"]
        cls.node.toml = toml
        cls.node.start()
        cls.addClassCleanup(cls.node.stop)
        cls.port = free_port()
        cls.prometheus = cls.start_prometheus()
        cls.addClassCleanup(cls.prometheus.stop)

    @classmethod
    def start_prometheus(cls) -> Process:
        (cls.folder / "glanced-token").write_text(cls.token)
        for file in FOLDER.glob("*.yml"):
            (cls.folder / file.name).write_text(file.read_text())
        instead = {
            "/etc/prometheus/glanced-token": cls.folder / "glanced-token",
            "box-7.example:8080": f"127.0.0.1:{cls.node.address.rpartition(':')[2]}",
            "box-8.example:8080": f"localhost:{free_port()}",
            "scrape_interval: 15s": "scrape_interval: 1s",
            "evaluation_interval: 15s": "evaluation_interval: 1s",
        }
        config = cls.folder / "prometheus.yml"
        config.write_text(replace(config.read_text(), instead, "prometheus.yml"))
        listen = f"--web.listen-address=127.0.0.1:{cls.port}"
        data = f"--storage.tsdb.path={cls.folder}/data"
        return Process([find("prometheus"), f"--config.file={config}", data, listen])

    def query(self, expr: str) -> list[dict]:
        answer = json.loads(get(f"http://127.0.0.1:{self.port}/api/v1/query?query={quote(expr)}").text)
        self.assertEqual(answer["status"], "success", f"{expr}: {answer}")
        return answer["data"]["result"]

    def up(self) -> dict[str, str]:
        return {series["metric"]["instance"]: series["value"][1] for series in self.query('up{job="glanced"}')}

    def ready(self) -> None:
        def is_ready() -> bool:
            try:
                return get(f"http://127.0.0.1:{self.port}/-/ready").status == 200
            except OSError:
                return False

        eventually("Prometheus is ready", is_ready)

    def test_promtool_accepts_the_configuration(self) -> None:
        shell(f"{find('promtool')} check config {self.folder}/prometheus.yml", self.folder)

    def test_alerts_speak_when_they_should_and_only_then(self) -> None:
        tests = self.folder / "alerts_test.yml"
        text = (Path(__file__).parent / "alerts_test.yml").read_text()
        tests.write_text(replace(text, {"RULES": FOLDER / "glanced-rules.yml"}))
        shell(f"{find('promtool')} test rules {tests}", self.folder)
        alerts = re.findall(r"alert: (\w+)", (FOLDER / "glanced-rules.yml").read_text())
        self.assertEqual([alert for alert in alerts if f"alertname: {alert}" not in text], [])

    def test_alerts_name_metrics_that_there_are(self) -> None:
        expressions = re.findall(r"expr: (.*?)(?:for|labels):", (FOLDER / "glanced-rules.yml").read_text(), re.DOTALL)
        self.assert_there(re.findall(r"glanced_\w+", " ".join(expressions)))

    def test_without_the_token_there_are_no_metrics(self) -> None:
        port = self.node.address.rpartition(":")[2]
        self.assertEqual(get(f"http://127.0.0.1:{port}/metrics").status, 401)
        shown = block(DOCUMENT, "see").splitlines()[0].replace("/etc/glanced", str(self.folder))
        self.assertIn("glanced_", shell(f"set +o pipefail; {shown.replace('8080', port)}", self.folder))

    def test_the_node_is_up_the_other_is_not_and_the_dashboard_has_data(self) -> None:
        self.ready()
        eventually("both targets were read", lambda: self.up() == {"127.0.0.1": "1", "localhost": "0"})
        shown = block(DOCUMENT, "see").splitlines()[1].replace("9090", str(self.port)).replace("curl", "curl --globoff")
        self.assertIn('"1"]', shell(shown, self.folder))
        # Frames, one that is none, a question, a correction: so that every panel has something to show.
        peer = Peer(self.broker.port, "glanced/#", "answers/#")
        self.addCleanup(peer.stop)
        waiting = dict.fromkeys(expressions())
        end = time.monotonic() + PATIENCE
        while waiting:
            self.assertLess(time.monotonic(), end, f"without data: {list(waiting)}")
            peer.publish("cameras/gate/frame", (FRAMES / "chelsea.jpg").read_bytes())
            peer.publish("cameras/yard/frame", b"no picture")
            peer.publish("glanced/classify", (FRAMES / "coffee.jpg").read_bytes(), 1, "answers/1")
            result = peer.wait("glanced/gate/top3")[-1]
            peer.publish("glanced/feedback", {"frame": result["frame"], "label": "espresso"}, 1, "answers/2")
            for title, expr in list(waiting):
                if self.query(expr):
                    del waiting[title, expr]
            time.sleep(0.2)
        # No other version was put in use: there is nothing to mark, but the question is one.
        (marks,) = dashboard()["annotations"]["list"]
        self.assertEqual(self.query(as_sent(marks["expr"])), [])
        down = eventually("the alert is pending", lambda: self.query('ALERTS{alertname="GlancedDown"}'))
        self.assertEqual([series["metric"]["instance"] for series in down], ["localhost"])
        # Some series are there only once there was something to count.
        self.assert_there(re.findall(r"glanced_\w+", json.dumps(dashboard())))

    def assert_there(self, names: list[str]) -> None:
        port = self.node.address.rpartition(":")[2]
        text = get(f"http://127.0.0.1:{port}/metrics", Authorization=f"Bearer {self.token}").text
        types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"], "gauge": [""]}
        there = {name + end for name, kind in types.items() for end in ends[kind]}
        self.assertTrue(names)
        self.assertEqual(sorted(set(names) - there), [])

    def test_grafana_knows_every_field_of_the_dashboard(self) -> None:
        register_default_plugins()
        raw = dashboard()
        self.assertEqual(lost(raw, json.loads(JSONEncoder().encode(Dashboard.from_json(raw)))), [])
        # And the test would see one that it does not know.
        raw["panels"][0]["gridPos"]["wide"] = 1
        self.assertEqual(lost(raw, json.loads(JSONEncoder().encode(Dashboard.from_json(raw)))), [".panels.0.gridPos.wide"])

    def test_panels_do_not_overlap_and_have_ids_of_their_own(self) -> None:
        cells, ids = [], []
        for panel in dashboard()["panels"]:
            at = panel["gridPos"]
            self.assertLessEqual(at["x"] + at["w"], 24)
            cells += [(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
            ids.append(panel["id"])
        self.assertEqual((len(cells), len(ids)), (len(set(cells)), len(set(ids))))


def lost(ours: object, known: object, path: str = "") -> list[str]:
    """What is in `ours` and not in `known`, or is another value there."""
    if isinstance(ours, dict) and isinstance(known, dict):
        return [end for key in ours for end in (lost(ours[key], known[key], f"{path}.{key}") if key in known else [f"{path}.{key}"])]
    if isinstance(ours, list) and isinstance(known, list) and len(ours) == len(known):
        return [end for n, pair in enumerate(zip(ours, known)) for end in lost(*pair, f"{path}.{n}")]
    return [] if ours == known else [path]


if __name__ == "__main__":
    unittest.main()
