"""Tiny data of a task in the Hub's layout."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# No text stands twice, and none in another: ties would be decided by the last bit of a similarity.
TEXTS = (
    "the old harbour town sells fresh fish before sunrise",
    "a delayed train waits at platform nine",
    "knead flour and water until the dough is smooth",
    "heavy clouds bring rain to the northern hills",
    "the orchestra tunes its violins before the concert",
    "parliament votes on the new tax law tonight",
    "her bicycle has a broken chain and no lights",
    "volcanic ash closed three airports in one week",
    "the recipe needs two eggs and a spoon of sugar",
    "stars are born in cold clouds of gas and dust",
    "the goalkeeper saved a penalty in the last minute",
    "doctors advise eight hours of sleep for teenagers",
)
OTHERS = (
    "fishermen sell their catch at dawn in the port",
    "passengers are kept waiting by a late railway service",
    "bread dough should be worked well by hand",
    "it is going to be wet in the mountains of the north",
    "musicians prepare their strings for the evening",
    "lawmakers decide about money owed to the state",
    "the bike can't be ridden at night or at all",
    "flights were cancelled after an eruption",
    "sweeten the batter and beat in an egg",
    "nebulae collapse and begin to shine",
    "a late stop kept the football team in the cup",
    "young people should go to bed early",
)
Rows = Iterable[Mapping[str, Any]]


def write_dataset(folder: Path, configs: Mapping[str, Mapping[str, Rows]]) -> Path:
    """Write rows by config and split as JSON Lines, with the README that declares them."""
    folder.mkdir(parents=True, exist_ok=True)
    head = ["---", "configs:"]
    for config, splits in configs.items():
        head += [f"- config_name: {config}", "  data_files:"]
        for split, rows in splits.items():
            name = f"{config}.{split}.jsonl"
            (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            head += [f"  - split: {split}", f"    path: {name}"]
    (folder / "README.md").write_text("\n".join([*head, "---", ""]), encoding="utf-8")
    return folder
