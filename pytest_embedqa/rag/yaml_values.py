"""The conversion of YAML to plain values: bombs, and values that two readers read differently, are errors."""

from __future__ import annotations

import re
from functools import cache
from itertools import chain
from typing import Any

# A probe file has ten levels, and up to as many more in the body of a request.
_MOST_LEVELS = 50
# Characters, with each alias counted as the whole that it stands for.
_MOST_CHARACTERS = 4_000_000
_MOST_DIGITS = 20
_HALVES = re.compile("[\ud800-\udbff][\udc00-\udfff]")


@cache
def composer() -> Any:  # noqa: C901  a class of five short methods
    """Return ruamel.yaml's composer with limits on nesting, self-reference and growth by aliases."""
    from ruamel.yaml.composer import Composer as Base  # where a YAML file is read only
    from ruamel.yaml.composer import ComposerError
    from ruamel.yaml.events import AliasEvent
    from ruamel.yaml.nodes import Node, ScalarNode

    class Composer(Base):
        def __init__(self, loader: Any = None) -> None:  # as the base class
            """Start with nothing composed."""
            super().__init__(loader=loader)
            self._level = 0
            # Characters and levels of each complete node.
            self._sizes: dict[Node, tuple[int, int]] = {}

        def compose_document(self) -> Any:  # as the base class
            """Refuse other versions, in which ``no``, ``010`` and ``1:30`` are other values."""
            start = self.parser.peek_event()
            if start.version not in {None, (1, 2)}:
                said = ".".join(map(str, start.version))
                raise ComposerError(
                    None,
                    None,
                    f"this is read as YAML 1.2, and it says %YAML {said}. Delete that line.",
                    start.start_mark,
                )
            return super().compose_document()

        def compose_node(self, parent: Any, index: Any) -> Any:  # as the base class
            """Compose a node, and measure it."""
            event = self.parser.peek_event()

            def refused(problem: str) -> ComposerError:
                return ComposerError(None, None, problem, event.start_mark)

            if not isinstance(event, AliasEvent) and event.anchor in self.anchors:
                raise refused(f"the anchor '{event.anchor}' appears here for the second time.")
            self._level += 1
            if self._level > _MOST_LEVELS:
                raise refused("it is nested too deeply.")
            node = super().compose_node(parent, index)
            self._level -= 1
            if node not in self._sizes:
                if isinstance(event, AliasEvent):
                    raise refused(f"the value of '*{event.anchor}' contains itself.")
                self._sizes[node] = self._size(node)
            characters, levels = self._sizes[node]
            if self._level + levels > _MOST_LEVELS:
                raise refused("it is nested too deeply, by its aliases.")
            if characters > _MOST_CHARACTERS:
                raise refused(f"with its aliases expanded, it has more than {_MOST_CHARACTERS:,} characters.")
            return node

        def compose_scalar_node(self, anchor: Any) -> Any:  # as the base class
            """Join the two halves with which JSON writes characters beyond 16 bits; ruamel.yaml keeps them apart."""
            node = super().compose_scalar_node(anchor)
            node.value = _HALVES.sub(
                lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), node.value
            )
            return node

        def _size(self, node: Node) -> tuple[int, int]:
            if isinstance(node, ScalarNode):
                return 1 + len(node.value), 1
            pairs = node.value and isinstance(node.value[0], tuple)
            inner = [self._sizes[one] for one in (chain.from_iterable(node.value) if pairs else node.value)]
            return 1 + sum(size for size, _ in inner), 1 + max((levels for _, levels in inner), default=0)

    return Composer


@cache
def constructor() -> Any:  # a class
    """Return ruamel.yaml's constructor, but its errors carry the value's line, and numbers are plain."""
    from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor, SafeConstructor
    from ruamel.yaml.error import YAMLError

    class Constructor(RoundTripConstructor):
        def construct_object(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT002  as the base class
            """Construct a value, and name the line of a failure."""
            try:
                return super().construct_object(node, deep=deep)
            except (YAMLError, RecursionError):
                raise
            except Exception as error:  # noqa: BLE001  a tag can ask for any conversion
                raise self._refused(node, f"{node.value!r:.60} does not fit its form or tag: {error}") from None

        def construct_yaml_int(self, node: Any) -> int:  # as the base class
            """Return a whole number, if all readers read it the same."""
            if re.fullmatch(r"[-+]?0[\d_]+", node.value):
                problem = f"{node.value:.60} begins with 0: to some it is octal. Write it without, or a text in quotes."
                raise self._refused(node, problem)
            if len(node.value) > _MOST_DIGITS:
                raise self._refused(node, f"a number of {len(node.value):,} digits. A text needs quotes.")
            return int(SafeConstructor.construct_yaml_int(self, node))

        def construct_yaml_float(self, node: Any) -> float:  # as the base class
            """Return a number; a negative zero becomes zero."""
            return float(SafeConstructor.construct_yaml_float(self, node)) + 0.0

        @staticmethod
        def _refused(node: Any, problem: str) -> ConstructorError:
            return ConstructorError(None, None, problem, node.start_mark)

    Constructor.add_constructor("tag:yaml.org,2002:int", Constructor.construct_yaml_int)
    Constructor.add_constructor("tag:yaml.org,2002:float", Constructor.construct_yaml_float)
    # ruamel.yaml takes a bool with an anchor for a kind of int.
    Constructor.add_constructor("tag:yaml.org,2002:bool", SafeConstructor.construct_yaml_bool)
    # In YAML 1.2 a date is a text, but not to ruamel.yaml, which raises ValueError for 2025-02-30.
    Constructor.add_constructor("tag:yaml.org,2002:timestamp", RoundTripConstructor.construct_yaml_str)
    return Constructor
