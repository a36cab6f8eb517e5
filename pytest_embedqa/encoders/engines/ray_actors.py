"""Ray actors that each run an engine, and the class that hands out work to them."""

from __future__ import annotations

import os
import warnings
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pytest_embedqa.core.errors import EmbedQAError, EngineError, MissingExtraError, OutOfMemoryError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.core.showing import shown
from pytest_embedqa.encoders.credentials import hide_environment
from pytest_embedqa.encoders.engine import Engine, Limits, Told, told_by
from pytest_embedqa.encoders.engines.ray_cluster import Share, no_room
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.representations import representation_of
from pytest_embedqa.encoders.spec import Spec

# Parts that an actor has at a time: it computes a part while the next is on its way.
_IN_FLIGHT = 2
# Actors that a part may lose before the part itself is to blame.
_ATTEMPTS = 3
_SECONDS_TO_CLOSE = 30


@dataclass(frozen=True)
class Loaded:
    """The facts that an actor reports of its engine."""

    node: str
    identity: Identity
    limits: Limits
    prompts: Prompts | None
    counts_tokens: bool
    told: Told
    representation: str


class Replica:
    """An engine in the process of an actor."""

    def node(self) -> str:
        """Return the address of the node that the actor runs on."""
        import ray

        address: str = ray.util.get_node_ip_address()
        return address

    def load(
        self, engine: type[Engine], spec: Spec, options: Mapping[str, Any], *, folder: str, threads: int
    ) -> Loaded:
        """Load the engine in the session's folder, where this node has it, so that relative paths mean the same."""
        hide_environment()
        spec.hide_secrets()  # this process has not parsed the spec, and another process shows its errors
        if os.path.isdir(folder):  # noqa: PTH112
            os.chdir(folder)
        if "threads" in engine.options:  # OMP_NUM_THREADS, which Ray sets, limits torch
            options = {"threads": threads, **options}
        try:
            self._engine = engine.load(spec, options)
        except (EngineError, MissingExtraError) as error:
            raise EngineError(
                f"{error}\nThis happened on the node {self.node()}: each node of a Ray cluster needs the same packages, and the model in the same place."
            ) from error
        known = self._engine
        facts = (known.identity, known.limits, known.prompts, known.counts_tokens)
        return Loaded(self.node(), *facts, told_by(known), representation_of(known).name)

    def embed(self, texts: Sequence[str]) -> Any:
        """Return what the engine makes of a part."""
        return self._engine.embed(texts)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of the texts of a part."""
        return list(self._engine.lengths(texts))

    def close(self) -> None:
        """Free the device."""
        self._engine.close()


@dataclass(frozen=True)
class Part:
    """Texts of a batch, from row ``start`` on, with the number of actors they have lost."""

    start: int
    texts: Sequence[str]
    lost: int = 0

    def halves(self) -> tuple[Part, Part]:
        """Split the part into two halves."""
        half = len(self.texts) // 2
        return replace(self, texts=self.texts[:half]), replace(self, start=self.start + half, texts=self.texts[half:])


class Member:
    """An actor as this process sees it; its node is known when it is ready."""

    def __init__(self, actor: Any) -> None:  # Ray makes it
        """Ask for its node, which it answers as soon as it has a place."""
        self.actor = actor
        self.placed = actor.node.remote()
        self.node = ""


class Actors:
    """Actors that run the same engine.

    An actor that dies is replaced by another, not restarted by Ray: Ray would hold back the dead actor's work, even
    where no node has room for it any more.

    Attributes:
        loaded: Facts that all actors have reported of their engine.
    """

    loaded: Loaded

    def __init__(
        self, inner: tuple[type[Engine], Spec, Mapping[str, Any]], *, spec: Spec, share: Share, seconds: float
    ) -> None:
        """Prepare the actors; nothing is started yet.

        Args:
            inner: Engine of each actor: its class, its spec, and the values of its keys.
            spec: The spec of the whole, for errors.
            share: Number of actors, and the resources of each.
            seconds: Seconds to wait for a place on the cluster.
        """
        self._inner = inner
        self._spec = spec
        self._share = share
        self._seconds = seconds
        self._ready: list[Member] = []
        self._starting: dict[Any, Member] = {}
        self._last_loss = ""

    def open(self) -> None:
        """Start all actors, and wait until each has its engine.

        Raises:
            EngineError: If the cluster has no room for them, a model can't be loaded, or their engines differ.
        """
        for _ in range(self._share.replicas):
            self._start()
        self._require_places(self._share.replicas)
        for loading in list(self._starting):
            self._join(loading)

    def close(self) -> None:
        """Free their devices and end them."""
        import ray

        if ray.is_initialized() and (every := [*self._ready, *self._starting.values()]):
            closing = [member.actor.close.remote() for member in self._ready]
            if closing:
                ray.wait(closing, num_returns=len(closing), timeout=_SECONDS_TO_CLOSE)
            for member in every:
                ray.kill(member.actor)
        self._ready, self._starting = [], {}

    def call(self, method: str, parts: Sequence[Part]) -> list[tuple[Part, Any]]:
        """Call a method for each part, and return results in the order of the texts; parts that do not fit are halved.

        Raises:
            OutOfMemoryError: If a single text does not fit.
            EngineError: If a part has lost its actor several times, or no actor is left.
        """
        import ray

        waiting, running = deque(parts), dict[Any, tuple[Member, Part]]()
        found: list[tuple[Part, Any]] = []
        while waiting or running:
            self._hand_out(method, waiting, running)
            if not running:
                self._require_one()
            (done, *_), _ = ray.wait([*running, *self._starting])
            if done in self._starting:
                self._replace(done)
                continue
            member, part = running.pop(done)
            try:
                found.append((part, _result(done)))
            except OutOfMemoryError:
                if len(part.texts) == 1:
                    raise
                waiting.extend(part.halves())
            except ray.exceptions.RayError as error:
                self._lose(member, error)
                if part.lost + 1 == _ATTEMPTS:
                    raise EngineError(
                        f"A part of {len(part.texts)} texts has lost its replica of the spec '{self._spec}' {_ATTEMPTS} times, the last time {self._last_loss}\n"
                        "If the node ran out of memory, set max_length= or replicas= lower in the spec."
                    ) from error
                waiting.appendleft(replace(part, lost=part.lost + 1))
        return sorted(found, key=lambda one: one[0].start)

    def _hand_out(self, method: str, waiting: deque[Part], running: dict[Any, tuple[Member, Part]]) -> None:
        """Give parts to the actors that have the fewest."""
        while waiting and self._ready:
            busy = Counter(id(member) for member, _ in running.values())
            freest = min(self._ready, key=lambda member: busy[id(member)])
            if busy[id(freest)] == _IN_FLIGHT:
                return
            part = waiting.popleft()
            running[getattr(freest.actor, method).remote(part.texts)] = (freest, part)

    def _start(self) -> None:
        """Start another actor, which is ready when its engine is loaded."""
        import ray

        share = self._share
        actor = ray.remote(Replica).options(num_cpus=share.cpus, num_gpus=share.gpus, scheduling_strategy="SPREAD")
        member = Member(actor.remote())
        loading = member.actor.load.remote(*self._inner, folder=os.getcwd(), threads=share.cpus)  # noqa: PTH109
        self._starting[loading] = member

    def _join(self, loading: Any) -> None:  # a reference of Ray's
        """Take an actor in, once its engine is loaded and agrees with that of the others."""
        import ray

        member = self._starting.pop(loading)
        try:
            loaded: Loaded = _result(loading)
            _require_same(getattr(self, "loaded", loaded), loaded, self._spec)
        except ray.exceptions.RayError as error:
            raise EngineError(
                f"A replica of the spec '{self._spec}' died while it loaded its model: {_cause(error)}"
            ) from error
        except EmbedQAError:
            ray.kill(member.actor)
            raise
        self.loaded = getattr(self, "loaded", loaded)
        member.node = loaded.node
        self._ready.append(member)

    def _lose(self, member: Member, error: Exception) -> None:
        """Replace an actor that is gone or can't be reached."""
        import ray

        self._last_loss = f"on the node {member.node}: {_cause(error)}"
        if member in self._ready:  # otherwise another of its parts has reported the loss already
            self._ready.remove(member)
            ray.kill(member.actor)
            self._start()
            warnings.warn(
                shown(
                    f"A replica of the spec '{self._spec}' was lost {self._last_loss} Its texts go to others, and another replica is started."
                ),
                stacklevel=2,
            )

    def _replace(self, loading: Any) -> None:  # a reference of Ray's
        """Take in the actor that replaces a lost one; if that fails, the remaining actors go on."""
        try:
            self._join(loading)
        except EmbedQAError as error:
            self._last_loss = str(error)
            warnings.warn(
                shown(f"No other replica of the spec '{self._spec}' could take the place of a lost one: {error}"),
                stacklevel=2,
            )

    def _require_one(self) -> None:
        """Check that an actor is ready or starting."""
        if not self._ready and not self._starting:
            raise EngineError(f"No replica of the spec '{self._spec}' is left. The last was lost: {self._last_loss}")
        if not self._ready:
            self._require_places(1)

    def _require_places(self, count: int) -> None:
        """Wait until this number of starting actors has a place: Ray itself would wait forever."""
        import ray

        places = [member.placed for member in self._starting.values()]
        placed, _ = ray.wait(places, num_returns=count, timeout=self._seconds)
        if len(placed) < count:
            raise no_room(self._spec, self._share, len(placed), self._seconds)


def _result(reference: Any) -> Any:  # whatever the actor returned
    """Return the result of a call, or raise the engine's own error."""
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None


def _cause(error: Exception) -> str:
    """Return why Ray lost an actor, on a line, without the other causes that Ray suggests."""
    said = " ".join(str(error).split()).partition(" Some common causes")[0]
    return said.rpartition("The actor is dead because ")[2]


def _require_same(first: Loaded, other: Loaded, spec: Spec) -> None:
    """Check that two actors give the same vectors, as far as their engines tell.

    Raises:
        EngineError: If they differ; the text lists all differences.
    """
    facts, others = (_facts(one.identity) for one in (first, other))
    differing = [name for name in facts if facts[name] != others.get(name)]
    if differing:
        shown = "; ".join(
            f"{name} is {facts[name]!r} on {first.node} and {others[name]!r} on {other.node}" for name in differing
        )
        raise EngineError(
            f"The replicas of the spec '{spec}' are not the same: {shown}. Install the same packages and the same model on each node."
        )


def _facts(identity: Identity) -> dict[str, Any]:
    """Return the facts that must agree, without the run id, which differs in each process."""
    facts = asdict(identity)
    facts["options"] = {name: value for name, value in identity.options.items() if name != "run"}
    return facts
