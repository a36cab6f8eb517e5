"""The labels of the table of capabilities."""

from __future__ import annotations

from pytest_embedqa.markers import LABELS, MARKERS


def test_every_label_is_registered():
    """Each label is a marker of its own or is described: with ``--strict-markers`` pytest refuses any other."""
    assert {marker.label for marker in MARKERS.values()} <= {*MARKERS, *LABELS}
