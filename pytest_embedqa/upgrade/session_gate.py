"""The gate of a session: comparisons with the baseline's scores, from a file or a second encoder."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pytest_embedqa.core.errors import BaselineError, EmbedQAError
from pytest_embedqa.core.evaluation import Evaluation, Subject
from pytest_embedqa.encoders.from_files import why_refused
from pytest_embedqa.encoders.spec import Spec, parse_spec, public_spec
from pytest_embedqa.encoders.system import System
from pytest_embedqa.encoders.wording import encoder_facts
from pytest_embedqa.upgrade.baseline import Baseline, read_baseline
from pytest_embedqa.upgrade.fingerprint import require_honest_identity
from pytest_embedqa.upgrade.gate import Comparison, compare
from pytest_embedqa.upgrade.wording import differences

if TYPE_CHECKING:
    from pytest_embedqa.encoders.encoder import Encoder

SAME_ENCODER = "candidate and baseline are the same encoder: nothing was changed"


class Gate:
    """A gate that compares results with a baseline: a file, or another encoder that is evaluated in the same run."""

    def __init__(self, given: Spec | Path, load: Callable[[Spec], System], allowed: Collection[Spec] = ()) -> None:
        """Prepare a gate; nothing is read or loaded before it is needed.

        Args:
            given: The file of a baseline, or the spec of an encoder.
            load: Loads an encoder, once for each spec.
            allowed: Specs that a file may name, whatever they start, import or contact.
        """
        self._given = given
        self._load = load
        self._allowed = allowed
        self._comparisons: dict[tuple[str, Subject], Comparison] = {}
        self._notes: dict[str, str | None] = {}

    @cached_property
    def file(self) -> Baseline | None:
        """The baseline if it is a file, else ``None``.

        Raises:
            BaselineError: If the file can't be used.
        """
        return read_baseline(self._given) if isinstance(self._given, Path) else None

    @cached_property
    def spec(self) -> Spec:
        """Spec of the baseline's encoder.

        Raises:
            BaselineError: If a file's spec would do more than load a model.
        """
        if self.file is None:
            assert isinstance(self._given, Spec)  # noqa: S101  the baseline is not a file
            return self._given
        text = self.file.encoder["spec"]
        if known := self._known(text):
            return known
        spec = self._with_known_parts(parse_spec(text))
        if reason := why_refused(spec, self._allowed):
            # What the file has only a digest of can't be copied from it.
            how = (
                "--embedqa-allow-spec=SPEC, where SPEC is the whole --embedqa-model that saved the baseline: the file has a "
                "digest in the place of its command, and no secrets."
                if spec.is_public or str(spec) != text
                else f"--embedqa-allow-spec={shlex.quote(str(spec))}"
            )
            raise BaselineError(
                f"the baseline {self._given} names the encoder '{text if spec.is_public else spec}', which is not loaded: "
                f"{reason}, and a file may start, import and reach nothing. If you trust it, allow it on the command line:  {how}"
            )
        return spec

    def _known(self, text: str) -> Spec | None:
        """Return the allowed spec with this public form: the file has no secrets."""
        allowed = (one for one in self._allowed if not one.is_public and str(one) in {text, public_spec(text)})
        return next(allowed, None)

    def _with_known_parts(self, spec: Spec) -> Spec:
        """Return the spec with those of its parts that are allowed as they were allowed: with their secrets."""
        if not spec.parts:
            return spec
        parts = [self._known(part.text) or self._with_known_parts(part) for part in spec.parts]
        return spec.with_parts(parts)

    def require(self, subject: Subject) -> None:
        """Check that the file has a score for this subject, before minutes of encoding.

        Raises:
            BaselineError: If it has no such score.
        """
        if self.file:
            self.file.find(subject)

    def compare(  # noqa: PLR0913  both sides of a comparison
        self,
        subject: Subject,
        encoder: System,
        after: Callable[[], Evaluation],
        before: Callable[[System], Evaluation],
        *,
        tested: System | None = None,
        anew: bool = False,
    ) -> Comparison:
        """Compare an evaluation with the baseline's; the comparison is made when it is first looked at, and kept.

        Args:
            subject: The evaluated subject.
            encoder: The evaluated encoder, at the subject's dimensions.
            after: Returns its evaluation.
            before: Evaluates the baseline's encoder, if the baseline is not a file.
            tested: The model under test, where it is a part of the evaluated system.
            anew: Whether to compare each time, as the answers of a pipeline may change.

        Raises:
            EmbedQAError: If there is nothing to compare with, or a comparison would say nothing.
        """
        key = (encoder.identity.digest, subject)
        if anew or key not in self._comparisons:
            note = self._same_encoder(tested or encoder, subject.dim)
            old = self.file.find(subject) if self.file else before(self._load(self.spec))
            found = compare(old, after())
            self._comparisons[key] = replace(found, notes=(*found.notes, note)) if note else found
        return self._comparisons[key]

    def try_again(self) -> None:
        """Let earlier comparisons be made anew."""
        self._comparisons.clear()

    def differences(self, encoder: System) -> list[str]:
        """Describe the differences between an encoder and the baseline's, a line for each."""
        old = encoder_facts(self._load(self.spec)) if self.file is None else self.file.encoder
        return differences(old, encoder_facts(encoder))

    def _same_encoder(self, encoder: System, dim: int | None) -> str | None:
        """Return a note if nothing was changed, after a check that this is true."""
        digest = encoder.identity.digest
        if digest not in self._notes:
            if self.file is None:
                old = self._load(self.spec)
                same = (cast("Encoder", old).at(dim) if dim else old).identity.digest == digest
            else:
                same = require_honest_identity(self.file, encoder)
            self._notes[digest] = SAME_ENCODER if same else None
        return self._notes[digest]

    def speed_reference(self, encoder: System) -> tuple[Spec | None, str]:
        """Return the spec of the baseline's encoder, to measure in turns with another, or the reason against it.

        Speeds of another run are never compared: a machine is not the same from one hour to the next.

        Raises:
            BaselineError: If a file can't be used, or names an encoder that it may not.
        """
        try:
            spec = self.spec
            old = self._load(spec)
        except BaselineError:
            raise
        except EmbedQAError as error:
            return None, f"the baseline's encoder can't be loaded: {str(error).splitlines()[0]}"
        if self.file and old.identity.digest != self.file.encoder["digest"]:
            return None, f"'{spec}' is no longer the encoder of the baseline"
        return (None if old.identity.digest == encoder.identity.digest else spec), ""
