"""Properties that must hold for any encoder. Expected failures state what a model is by design only."""

from pytest_embedqa import parametrize_with_invariants

EMBEDDED = "sentence-transformers/all-MiniLM-L6-v2"


@parametrize_with_invariants(
    expected_failures={
        "accents_distinct": {EMBEDDED: "an uncased vocabulary without accents"},
        "case_distinct": {EMBEDDED: "an uncased vocabulary"},
        "cjk_distinct": {EMBEDDED: "an English vocabulary: many Chinese characters are one unknown token"},
        "languages": {EMBEDDED: "trained on English"},
    }
)
def test_invariant(encoder, invariant):
    invariant(encoder)
