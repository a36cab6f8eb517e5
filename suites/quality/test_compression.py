"""The cost of smaller vectors: bounded as measured for the embedded model, with some room; for others only measured."""

from pytest_embedqa import matryoshka, mteb_task, quantized, retrieval_task, sts_task

EMBEDDED = "sentence-transformers/all-MiniLM-L6-v2"


@matryoshka(dims=[320], max_loss={EMBEDDED: 0.01})
@matryoshka(dims=[128, 256])
@quantized("int8", max_loss={EMBEDDED: 0.02})
@quantized("ubinary", max_loss={EMBEDDED: 0.1})
@quantized("ubinary", max_loss={EMBEDDED: 0.04}, rescore=4)
@mteb_task(retrieval_task("../data/handbook"))
def test_answers_are_found_with_smaller_vectors(): ...


@matryoshka(dims=[256], max_loss={EMBEDDED: 0.01})
@quantized("int8", max_loss={EMBEDDED: 0.01})
@quantized("ubinary", max_loss={EMBEDDED: 0.01})
@mteb_task(sts_task("../data/similarity/test.jsonl"))
def test_similarity_with_smaller_vectors(): ...
