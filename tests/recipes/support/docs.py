"""What a document shows: its fenced blocks, each by the name that follows the language (```sh certificates)."""

import re
import textwrap
from typing import NamedTuple

from . import DOCS

# In a list it is indented, and so is what it holds.
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S+)[ \t]*(?P<name>\S*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    language: str
    name: str
    text: str


def blocks(document: str) -> list[Block]:
    found = FENCE.finditer((DOCS / document).read_text("utf-8"))
    return [Block(each["language"], each["name"], textwrap.dedent(each["text"])) for each in found]


def block(document: str, name: str, **instead: object) -> str:
    """The one of that name, with what is a reader's own replaced: `broker_example="localhost"` is for broker.example.

    What is to be replaced must be there: otherwise the document has moved on, and the test tries something else.
    """
    found = [block.text for block in blocks(document) if block.name == name]
    assert len(found) == 1, f"docs/{document} has {len(found)} blocks named {name}"
    return replace(found[0], {key.replace("_", "."): value for key, value in instead.items()}, f"{document}, {name}")


def replace(text: str, instead: dict[str, object], where: str = "") -> str:
    for old, new in instead.items():
        assert old in text, f"{where}: there is no {old} to replace"
        text = text.replace(old, str(new))
    return text
