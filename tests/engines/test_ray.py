"""``ray+ENGINE:`` on a real Ray cluster: the vectors of one machine, whatever happens to the replicas."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from ray_engines import POISON, UNREADABLE, FaultyEngine, encode

from pytest_embedqa.core.errors import EncoderFaultError, EngineError, MissingExtraError, SpecError
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.engines.on_ray import on_ray
from pytest_embedqa.encoders.engines.ray_cluster import share_of
from pytest_embedqa.encoders.load import load_encoder, read_all_options
from pytest_embedqa.encoders.spec import Spec, parse_spec
from pytest_embedqa.session import Session
from pytest_embedqa.settings import Settings

ray = pytest.importorskip("ray", reason="needs the extra ray")
HERE = Path(__file__).parent
TEXTS = [f"text number {number} " + "word " * (number % 9) for number in range(400)]
RIGHT = encode(TEXTS)
# The loss of a replica is a warning; where none is promised, it fails the test.
pytestmark = pytest.mark.filterwarnings("error:.*replica of the spec")


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one CPU each, made before any engine."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def connected(cluster, monkeypatch):
    """A process that is connected already, as each engine would do in a second; the actors find the engines in this folder."""
    monkeypatch.chdir(HERE)
    if not ray.is_initialized():
        ray.init(cluster.address, log_to_driver=False)
    return cluster


def faulty(fault, replicas=2, **options):
    """An encoder on replicas of the engine with a fault."""
    spec = Spec(f"ray+faulty:{fault}", "ray+faulty", str(fault))
    engine = on_ray(FaultyEngine).load(spec, {"replicas": replicas, "cpus": 1, **options})
    return Encoder(engine, None, spec=spec)


def processes(encoder):
    """Process ids of the replicas that are ready."""
    actors = [member.actor for member in encoder._engine._actors._ready]
    return ray.get([actor.__ray_call__.remote(lambda _: os.getpid()) for actor in actors])


def settle(encoder):
    """Go on until those that stand in are ready, or can't be: a short run is over before."""
    while encoder._engine._actors._starting:
        np.testing.assert_array_equal(encoder.encode(TEXTS[:32]), RIGHT[:32])


# Specs.


def test_keys_of_both_are_known_and_others_refused():
    """The inner engine's keys, ours and the common ones; a wrong key lists them all."""
    values = read_all_options(parse_spec("ray+st:models/mine?replicas=2&dim=256&gpus=0.5&cpus=4&pooling=cls"))
    assert values == {"replicas": 2, "dim": 256, "gpus": 0.5, "cpus": 4, "pooling": "cls"}
    with pytest.raises(SpecError, match=r"(?s)Did you mean 'replicas'.*'ray\+builtin' knows: .*pooling.*ray_timeout"):
        read_all_options(parse_spec("ray+builtin?replica=2"))
    with pytest.raises(SpecError, match="a number from 0 up is expected"):
        read_all_options(parse_spec("ray+builtin?gpus=-1"))


def test_spec_of_a_replica():
    """What stands behind ``ray+`` is a whole spec, and its keys without those of Ray; another spec stays as it is."""
    spec = parse_spec("ray+st:ORG/MODEL@v2?replicas=2&dim=256&cpus=1&gpus=0&ray_timeout=9")
    assert (spec.engine, spec.model, spec.revision) == ("ray+st", "ORG/MODEL", "v2")
    assert spec.off_ray() == parse_spec("st:ORG/MODEL@v2?dim=256")
    assert parse_spec("ray+builtin?replicas=2").off_ray() == parse_spec("builtin")
    other = parse_spec("st:ORG/MODEL?replicas=2")
    assert other.off_ray() is other


def test_a_diagnosis_loads_its_variants_beside_the_cluster(monkeypatch):
    """The replicas under test hold every place on it, so that a variant would wait for one in vain."""
    monkeypatch.setattr("pytest_embedqa.session.load_encoder", lambda spec, *_, **__: spec)
    session = Session(Settings())
    assert session.variant(parse_spec("ray+builtin?replicas=2&pooling=cls")) == parse_spec("builtin?pooling=cls")


def test_engines_that_cant_be_on_ray():
    """An unknown one, and Ray on Ray."""
    with pytest.raises(
        SpecError, match=r"(?s)Unknown engine 'nonsense'.*ray\+ENGINE runs any of them on a Ray cluster"
    ):
        parse_spec("ray+nonsense:model")
    with pytest.raises(SpecError, match=r"is on Ray twice: a replica can't have replicas. Write 'ray\+st:model'"):
        parse_spec("ray+ray+st:model")


def test_without_ray_the_install_command_is_told(monkeypatch):
    """As with any other extra."""
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "ray")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"(?s)spec 'ray\+faulty:x' needs the package 'ray'.*embedqa\[ray\]"):
        faulty("x")


@pytest.mark.parametrize(
    ("nodes", "options", "share"),
    [
        ([(4, 0)], {}, "replicas=1&cpus=4&gpus=0"),
        ([(4, 0), (4, 0)], {}, "replicas=2&cpus=4&gpus=0"),
        ([(4, 0), (12, 0)], {"replicas": 4}, "replicas=4&cpus=4&gpus=0"),
        ([(2, 0)], {"replicas": 5}, "replicas=5&cpus=1&gpus=0"),
        ([(64, 8), (32, 4), (8, 0)], {}, "replicas=12&cpus=8&gpus=1"),
        ([(64, 8)], {"gpus": 2.0}, "replicas=4&cpus=16&gpus=2"),
        ([(64, 8)], {"gpus": 0.5, "cpus": 2}, "replicas=16&cpus=2&gpus=0.5"),
        ([(64, 8), (64, 8)], {"device": "cpu"}, "replicas=2&cpus=64&gpus=0"),
    ],
)
def test_share_of_a_cluster(nodes, options, share, monkeypatch):
    """A GPU each, or a node each; CPUs so that all fit onto their nodes; the spec decides what it names."""
    listed = [{"Alive": True, "Resources": {"CPU": cpus, **({"GPU": gpus} if gpus else {})}} for cpus, gpus in nodes]
    listed.append({"Alive": False, "Resources": {"CPU": 99}})
    monkeypatch.setattr(ray, "nodes", lambda: listed)
    assert str(share_of(options)) == share


# One cluster.


def test_each_replica_has_its_cpus_and_the_folder_of_the_session(connected):
    """Two processes with the threads of their CPUs, where relative paths mean the same."""
    encoder = load_encoder(parse_spec("ray+python:ray_engines:places?cpus=1"), None)
    pids, threads, here = encoder.encode(TEXTS[:64]).T
    assert len(set(pids)) == 2
    assert set(threads) == {1}
    assert here.all()
    encoder.close()
    encoder = faulty("threads", replicas=1)
    assert (encoder.encode(["x"]) == 1).all(), "engines with the key threads= are told by it"
    encoder.close()


def test_vectors_and_lengths_are_in_order(connected):
    """Row i is text i, also where there are fewer texts than replicas."""
    encoder = faulty("none")
    np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
    np.testing.assert_array_equal(encoder.encode(TEXTS[:1]), RIGHT[:1])
    many = [*TEXTS] * 4
    assert encoder.count_tokens(many) == [len(text) for text in many]
    assert all(len(part.texts) <= 8 for part in encoder._engine._cut(TEXTS))
    encoder.close()
    assert ray.is_initialized(), "a connection of the user's own stays"


def test_what_does_not_fit_is_halved_and_remembered(connected):
    """Out of memory on a replica halves the part; those to come are smaller; a single text is an error."""
    encoder = faulty("memory")
    np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
    assert encoder._engine._part.batch_size < 8
    encoder.close()
    encoder = faulty("no memory", replicas=1)
    with pytest.raises(EngineError, match=r"Out of memory for a single text of 3 characters \(1 texts do not fit"):
        encoder.encode(["one", "two"])
    encoder.close()


def test_errors_of_the_engine_are_its_own(connected):
    """Their class and text, without Ray's; the engine goes on afterwards."""
    encoder = faulty("none")
    with pytest.raises(EncoderFaultError) as found:
        encoder.encode([*TEXTS, UNREADABLE])
    assert type(found.value) is EncoderFaultError
    assert str(found.value) == "can't be read"
    np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
    encoder.close()
    encoder = faulty("rows")
    with pytest.raises(EncoderFaultError, match=r"returned an array of shape \(\d+, 3\) for \d texts"):
        encoder.encode(TEXTS)
    encoder.close()


def test_nodes_that_lack_something_are_named(connected):
    """A package, a model, the process itself."""
    node = re.escape(ray.util.get_node_ip_address())
    with pytest.raises(
        EngineError,
        match=rf"(?s)pytest-embedqa\[faulty\].*This happened on the node {node}: each node of a Ray cluster needs",
    ):
        faulty("package")
    with pytest.raises(EngineError, match=rf"(?s)no model any more for 'faulty:.*This happened on the node {node}"):
        faulty(f"never again:{__file__}")
    with pytest.raises(EngineError, match="died while it loaded its model: its worker process has died"):
        faulty("killed at once", replicas=1)


def test_replicas_must_be_the_same(connected):
    """What differs is said, with the nodes; the run of an engine that nobody vouches for is no difference."""
    with pytest.raises(EngineError, match=r"libraries is {'torch': '\d+'} on .* and {'torch': '\d+'} on ") as found:
        faulty("versions")
    assert "Install the same packages and the same model on each node." in str(found.value)


def test_cluster_without_room_is_an_error(connected):
    """What was asked and what there is, instead of waiting for ever."""
    with pytest.raises(EngineError, match=r"has no room for the spec 'ray\+faulty:none'") as found:
        faulty("none", gpus=1, ray_timeout=1)
    said = str(found.value)
    assert (
        "of replicas=2&cpus=1&gpus=1, with these CPUs and GPUs for each replica, 0 found a place within 1 sec" in said
    )
    assert "1 CPUs and 0 GPUs; 1 CPUs and 0 GPUs" in said
    assert "lower in the spec, close what else uses the cluster, or wait longer for it with ray_timeout=" in said


# Losses.


def test_killed_replica_costs_time_and_nothing_else(connected, tmp_path):
    """SIGKILL in mid-run: its texts go to others, another takes its place, every vector is right."""
    encoder = faulty(f"killed once:{tmp_path / 'killed'}")
    before = processes(encoder)
    with pytest.warns(
        UserWarning, match=r"was lost on the node .*: its worker process has died.*another replica is started"
    ):
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
    assert (tmp_path / "killed").exists()
    settle(encoder)
    after = processes(encoder)
    assert len(after) == 2
    assert len(set(before) & set(after)) == 1
    encoder.close()


def test_text_that_kills_every_replica_is_one_error(connected):
    """It is not tried for ever; the error tells the cause."""
    encoder = faulty("none")
    with (
        pytest.warns(UserWarning, match="was lost on the node"),
        pytest.raises(
            EngineError, match=r"3 times, the last time on the node .*: its worker process has died"
        ) as found,
    ):
        encoder.encode([*TEXTS[:20], POISON])
    assert "If the node ran out of memory, set max_length= or replicas= lower" in str(found.value)
    encoder.close()


def test_without_a_replacement_the_others_go_on(connected, tmp_path):
    """A node that can't load the model any more costs a replica; without any it is one error."""
    encoder = faulty(f"never again:{tmp_path / 'gone'}")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
        settle(encoder)
        assert len(processes(encoder)) == 1
        with pytest.raises(
            EngineError, match=r"No replica of the spec .* is left. The last was lost: no model any more"
        ):
            encoder.encode([POISON])
    said = [str(one.message).partition(" of the spec")[0] for one in warned]
    assert said == ["A replica", "No other replica"] * 2
    assert "could take the place of a lost one: no model any more" in str(warned[-1].message)
    encoder.close()


@pytest.mark.slow
def test_cluster_that_was_there_is_used_and_left(connected, monkeypatch, tmp_path):
    """RAY_ADDRESS names it; at the end only the actors are gone, their engines closed. Then it loses a node in mid-run."""
    ray.shutdown()
    monkeypatch.setenv("RAY_ADDRESS", connected.address)
    first, second = faulty(f"closes:{tmp_path / 'closed'}", replicas=1), faulty("none", replicas=1)
    first.close()
    assert (tmp_path / "closed").exists()
    np.testing.assert_array_equal(second.encode(TEXTS), RIGHT)
    second.close()
    assert not ray.is_initialized()
    ray.init(connected.address, log_to_driver=False)
    assert [node["Alive"] for node in ray.nodes()] == [True, True]

    encoder = faulty(f"slow:{tmp_path / 'began'}")
    worker = next(iter(connected.worker_nodes))

    def remove():
        while not (tmp_path / "began").exists():
            time.sleep(0.01)
        connected.remove_node(worker)

    removing = threading.Thread(target=remove)
    removing.start()
    with pytest.warns(UserWarning, match="was lost on the node"):
        np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
    removing.join()
    np.testing.assert_array_equal(encoder.encode(TEXTS), RIGHT)
    assert len(processes(encoder)) == 1
    encoder.close()


def test_address_without_a_cluster_is_an_error(connected, monkeypatch):
    """At once, where Ray itself would try for minutes."""
    ray.shutdown()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(
        EngineError, match=r"(?s)can't be reached or started at the address '127.0.0.1:9'.*RAY_ADDRESS=HOST:PORT"
    ):
        faulty("none")


# A Ray of the session's own.


def test_ray_that_was_started_ends_with_the_engine(monkeypatch):
    """Without RAY_ADDRESS, or a connection of the user's."""
    ray.shutdown()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(HERE)
    encoder = faulty("none", replicas=1)
    assert ray.is_initialized()
    np.testing.assert_array_equal(encoder.encode(TEXTS[:9]), RIGHT[:9])
    encoder.close()
    assert not ray.is_initialized()
    assert "RAY_USAGE_STATS_ENABLED" not in os.environ


@pytest.mark.slow
def test_suite_gives_the_verdicts_of_one_process(pytester, monkeypatch):
    """The same vectors, scores and verdicts. Without RAY_ADDRESS a Ray is started, and says nothing."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    pairs = [("heavy rain", "a heavy shower"), ("rye bread", "a loud drum"), ("night train", "the train at night")]
    rows = [{"sentence1": a, "sentence2": b, "score": place} for place, (a, b) in enumerate([*pairs, ("a", "a")])]
    (pytester.path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pytester.makepyfile(
        """
        import numpy as np
        from pytest_embedqa import mteb_task, sts_task

        def test_vectors(encoder):
            texts = [f"text {number} " + "of many words " * (number % 20) for number in range(60)]
            np.save("ray.npy" if str(encoder.spec).startswith("ray") else "plain.npy", encoder.encode(texts))
            assert encoder.count_tokens(["bread"]) == [3]
            assert encoder.identity.engine == "builtin"
            assert encoder.identity.options == {}

        @mteb_task(sts_task("pairs.jsonl"), min_spearman=0.5)
        def test_passes(): ...

        @mteb_task(sts_task("pairs.jsonl"), min_spearman=0.999999)
        def test_fails(): ...
        """
    )
    # No text is so long that 255 tokens cut it, but the identity is another one: nothing is reused.
    specs = ["builtin?max_length=255", "ray+builtin?replicas=2"]
    done = pytester.runpytest_subprocess(
        *(f"--embedqa-model={spec}" for spec in specs),
        "--embedqa-json=run.json",
        "--embedqa-diagnose=off",
        f"--embedqa-store={pytester.path / 'store'}",
    )
    done.assert_outcomes(passed=4, failed=2)
    assert not re.search("raylet|INFO|usage stat|warning", str(done.stdout) + str(done.stderr))
    np.testing.assert_allclose(np.load(pytester.path / "ray.npy"), np.load(pytester.path / "plain.npy"), atol=1e-6)
    tests = json.loads((pytester.path / "run.json").read_text())["tests"]
    facts = [test["facts"] for test in tests if test["capability"] == "quality"]
    plain, on_ray = (
        [(one["requirement"], round(one["value"], 9), one["outcome"]) for one in verdicts]
        for verdicts in ([one for fact in facts for one in fact["verdict"] if one["model"] == spec] for spec in specs)
    )
    assert plain == on_ray == [("min_spearman=0.5", 0.8, "pass"), ("min_spearman=0.999999", 0.8, "fail")]
    assert {(one["model"], one["encoded"]) for fact in facts for one in fact["task"]} == {(spec, 7) for spec in specs}


@pytest.mark.slow
def test_ray_takes_over_no_signal():
    """At SIGTERM Ray would exit from wherever the run is; who handled it before, handles it still."""
    code = (
        "import signal; from pytest_embedqa.encoders.engines.ray_cluster import connected\n"
        "with connected(): print(signal.getsignal(signal.SIGTERM).name)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["SIG_DFL"]
