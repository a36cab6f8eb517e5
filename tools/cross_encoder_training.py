"""Train a small cross-encoder on passages alone: which passage holds the sentence that was asked for?

There are no questions to learn from here that a suite does not judge by, so the queries are made: titles, and sentences of
which words are left out at random. Each stands with its own passage and with three others, two of which BM25 finds.
"""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

SEED, STEPS, BATCH, LEARNING_RATE = 0, 330, 64, 8e-4
OTHERS, LEFT_OUT = 3, 0.35


class _Piece(NamedTuple):
    """Some sentences of a passage, with its title in front or without."""

    passage: int
    title: str
    text: str

    def shown(self, chance: random.Random) -> str:
        return f"{self.title} {self.text}" if chance.random() < 0.5 else self.text  # noqa: PLR2004


def train(source: Path, passages: Sequence[tuple[str, str]]) -> CrossEncoder:
    """Train a cross-encoder with one label from a model's folder.

    Args:
        source: Folder of a model of transformers, whose weights training starts from; the head is new.
        passages: Title and text of each passage.
    """
    import torch
    from datasets import Dataset
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    torch.manual_seed(SEED)  # the head
    model = CrossEncoder(str(source), num_labels=1, max_length=96, device="cpu")
    # Words keep their meaning, whatever few texts are learnt from.
    model[0].model.bert.embeddings.requires_grad_(requires_grad=False)
    with tempfile.TemporaryDirectory() as folder:
        options = CrossEncoderTrainingArguments(
            output_dir=folder,
            max_steps=STEPS,
            per_device_train_batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            warmup_steps=20,
            seed=SEED,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        loss = BinaryCrossEntropyLoss(model, pos_weight=torch.tensor(float(OTHERS)))
        texts = Dataset.from_list(list(_pairs(passages)))
        CrossEncoderTrainer(model=model, args=options, train_dataset=texts, loss=loss).train()
    model.max_seq_length = 512
    return model


def _pairs(passages: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    import bm25s
    import Stemmer

    chance = random.Random(SEED)  # noqa: S311  # no secret
    pieces = [
        _Piece(number, title, " ".join(sentences[at : at + 2]))
        for number, (title, text) in enumerate(passages)
        for sentences in [_sentences(text)]
        for at in range(0, len(sentences), 2)
    ]
    stemmer = Stemmer.Stemmer("english")

    def words(texts: list[str]) -> Any:
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)

    index = bm25s.BM25()
    index.index(words([f"{piece.title} {piece.text}" for piece in pieces]), show_progress=False)
    for piece in pieces:
        for query in [_thinned(sentence, chance) for sentence in _sentences(piece.text)] + [piece.title]:
            yield {"query": query, "passage": piece.shown(chance), "label": 1.0}
            found = index.retrieve(words([query]), k=12, show_progress=False).documents[0].tolist()
            near = [place for place in found if pieces[place].passage != piece.passage]
            far = chance.choice([other for other in pieces if other.passage != piece.passage])
            for other in [*(pieces[place] for place in chance.sample(near, OTHERS - 1)), far]:
                yield {"query": query, "passage": other.shown(chance), "label": 0.0}


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+", text)


def _thinned(sentence: str, chance: random.Random) -> str:
    return " ".join(word for word in sentence.split() if chance.random() > LEFT_OUT) or sentence
