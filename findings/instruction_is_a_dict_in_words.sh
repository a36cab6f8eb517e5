#!/usr/bin/env bash
# mteb 2.26.24: the task TERRa.V2 (pairs of texts, PairClassification) declares its instruction by kind of text, {"query": ...}.
# Guess: an instructed model is told that instruction, or nothing.
# Seen: both texts of a pair are encoded without a kind, and for these the whole dictionary is written into the template:
# the model reads "Instruct: {'query': 'Given a premise, ...'}". Of the tasks that search nothing it alone declares a dictionary.
# Effect: scores of instructed models on TERRa.V2 are scores with Python's way of writing a dictionary in the prompt.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 mteb==2.26.24
cd "$folder"
cat > check.py <<'P'
import mteb
from mteb.models.abs_encoder import AbsEncoder


class Instructed(AbsEncoder):
    """As mteb's wrappers of instructed models, which fill a template."""

    instruction_template = "Instruct: {instruction}\nQuery: "

    def __init__(self): ...

    def encode(self, *_, **__): ...


task = mteb.get_task("TERRa.V2")
print(task.metadata.type, "declares", task.metadata.prompt)
told = Instructed().get_task_instruction(task.metadata, None)
print("the model is told", repr(told))
assert isinstance(task.metadata.prompt, dict), "the task declares no dictionary now: this finding is over"
assert "{'query':" in told, "the instruction is no dictionary in words now: this finding is over"
P
"$folder/venv/bin/python" check.py
