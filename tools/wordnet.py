"""WordNet's nouns, and how alike they are. The file format: wndb(5WN), wordnet.princeton.edu/documentation/wndb5wn."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

# The one that ImageNet's synsets are numbered by.
RELEASE = "3.0"
# Of the likeness of two classes. Two breeds of dog have 0.54, a daisy and an orchid 0.49, an alp and a mushroom 0.09.
LEAST = 0.5
# Of one class.
MOST_NEIGHBOURS = 10
HEADER = "class\tneighbour\tweight"

# A class and its weight.
Neighbour = tuple[int, float]


@dataclass
class Nouns:
    """What each noun is a kind of; a noun is known by its synset, such as n02391049."""

    release: str | None
    hypernyms: dict[str, list[str]]
    _ancestors: dict[str, frozenset[str]] = field(default_factory=dict)
    _kinds: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads data.noun."""
        release, hypernyms = None, {}
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.startswith("  "):  # the licence
                    if found := re.search(r"WordNet (\d\S*) Copyright", line):
                        release = found[1]
                    continue
                try:
                    offset, above = _synset(line)
                except (ValueError, IndexError):
                    raise ValueError(f"{path}, line {number}: not a line of WordNet's data.noun") from None
                hypernyms[offset] = above
        if not hypernyms:
            raise ValueError(f"{path}: no nouns in it")
        for offset, above in hypernyms.items():
            if missing := [hypernym for hypernym in above if hypernym not in hypernyms]:
                raise ValueError(f"{path}: {offset} is a kind of {missing[0]}, which is not there")
        return cls(release, hypernyms)

    def __post_init__(self) -> None:
        for synset in self.hypernyms:
            self._kinds.update(self.ancestors(synset))

    def __contains__(self, synset: str) -> bool:
        return synset in self.hypernyms

    def ancestors(self, synset: str) -> frozenset[str]:
        """Everything that it is a kind of, itself included."""
        if synset not in self._ancestors:
            above = (self.ancestors(hypernym) for hypernym in self.hypernyms[synset])
            self._ancestors[synset] = frozenset([synset]).union(*above)
        return self._ancestors[synset]

    def information(self, synset: str) -> float:
        """1 for what has no kinds, 0 for what everything is a kind of."""
        return 1 - math.log(self._kinds[synset]) / math.log(max(len(self.hypernyms), 2))

    def likeness(self, a: str, b: str) -> float:
        """From 0, nothing in common, to 1, the same."""
        common = max((self.information(synset) for synset in self.ancestors(a) & self.ancestors(b)), default=0.0)
        return 2 * common / max(self.information(a) + self.information(b), 2 * common, 1e-9)


def _synset(line: str) -> tuple[str, list[str]]:
    fields = line.partition(" | ")[0].split()
    words = int(fields[3], 16)
    pointers = fields[4 + 2 * words :]
    above = []
    for at in range(1, 1 + 4 * int(pointers[0]), 4):
        kind, offset, part, _ = pointers[at : at + 4]
        if kind in ("@", "@i") and part == "n":
            above.append(f"n{offset}")
    return f"n{fields[0]}", above


def neighbours(nouns: Nouns, synsets: Sequence[str]) -> list[list[Neighbour]]:
    """For each class, the classes that it is most like. A synset that is not there has none."""
    return [_of(nouns, synsets, number) for number in range(len(synsets))]


def _of(nouns: Nouns, synsets: Sequence[str], number: int) -> list[Neighbour]:
    if synsets[number] not in nouns:
        return []
    found = []
    for other, synset in enumerate(synsets):
        if other != number and synset in nouns:
            weight = round(nouns.likeness(synsets[number], synset), 3)
            if weight >= LEAST:
                found.append((other, weight))
    # All breeds of terrier are equally alike. Then the number decides: ImageNet has put those side by side that look so.
    found.sort(key=lambda neighbour: (-neighbour[1], abs(neighbour[0] - number), neighbour[0]))
    return sorted(found[:MOST_NEIGHBOURS])


def to_tsv(table: Sequence[Sequence[Neighbour]]) -> str:
    lines = [f"{number}\t{other}\t{weight:.3f}" for number, row in enumerate(table) for other, weight in row]
    return "\n".join([HEADER, *lines]) + "\n"


def read_synsets(labels: Path) -> list[tuple[str, str]]:
    """Synset and English name of each class in a labels.tsv."""
    lines = labels.read_text("utf-8").splitlines()
    if not lines or lines[0].split("\t")[:3] != ["class", "id", "en"]:
        raise ValueError(f"{labels}: the first line must be the header: class, id, en, zh")
    classes = []
    for number, line in enumerate(lines[1:], 2):
        columns = line.split("\t")
        if len(columns) < 3 or columns[0] != str(len(classes)):
            raise ValueError(f"{labels}, line {number}: class {len(classes)}, its id and its name should stand here")
        classes.append((columns[1], columns[2]))
    return classes
