"""What the node says of itself: health, figures, and each key with where its value comes from."""

from support.case import WebCase
from support.node import Node
from support.pictures import RED, plain


class TheNode(WebCase):
    def test_every_key_is_shown_with_its_value_and_where_that_comes_from(self) -> None:
        node = self.start(Node())
        page = self.open(node, "node")
        config = node.get("/api/node")["config"]
        self.assertGreater(len(config), 40)
        rows = page.js("""return Object.fromEntries([...document.querySelectorAll("#node-config [data-key]")]
            .map(row => [row.dataset.key, row.textContent]))""")
        self.assertEqual(set(rows), {one["key"] for one in config})
        for one in config:
            self.assertIn(one["value"], rows[one["key"]])
        self.assertIn("GLANCED__MQTT__NODE", rows["mqtt.node"])

    def test_health_is_what_the_probes_say(self) -> None:
        node = self.start(Node())
        for _ in range(3):
            node.cameras.show("gate", plain(RED))
        page = self.open(node, "node")
        well = page.text("#node-health")
        self.assertIn("3", page.text("main"))
        node.broker.stop()
        page.until("it says that the broker is away", lambda: page.text("#node-health") != well)
        self.assertEqual(node.request("GET", "/readyz").status, 503)
