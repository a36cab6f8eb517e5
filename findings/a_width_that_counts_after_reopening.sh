#!/usr/bin/env bash
# Chroma 1.5.9, a collection on disk: its search is made wider with modify(configuration={"hnsw": {"ef_search": 400}}).
# Guess: the next query searches that wide.
# Seen: the configuration says 400 at once, and the results stay those of the old width, 10, also for a collection that is
# fetched anew from the same client: of the ten nearest of 8,000 random vectors (64 dimensions, 100 queries) half come back.
# After the database is closed and opened again all of them do.
# Effect: who tunes ef_search in a running service reads the new value, measures the old recall, and concludes that it is no use.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet chromadb==1.5.9 numpy==2.4.6
cd "$folder"
cat > check.py <<'P'
import tempfile

import chromadb
import numpy as np

rng = np.random.default_rng(3)
documents = rng.normal(size=(8000, 64)).astype(np.float32)
queries = rng.normal(size=(100, 64)).astype(np.float32)
distances = (documents**2).sum(axis=1) - 2 * queries @ documents.T
nearest = [set(map(str, row)) for row in np.argsort(distances, axis=1)[:, :10].tolist()]


def recall(collection):
    found = collection.query(query_embeddings=queries, n_results=10, include=[])["ids"]
    return sum(len(set(one) & some) for one, some in zip(found, nearest, strict=True)) / 1000


folder = tempfile.mkdtemp()
client = chromadb.PersistentClient(folder, chromadb.Settings(anonymized_telemetry=False))
collection = client.create_collection("notes", configuration={"hnsw": {"space": "l2", "ef_search": 10}}, embedding_function=None)
for start in range(0, len(documents), 2000):
    collection.add(ids=[str(row) for row in range(start, start + 2000)], embeddings=documents[start : start + 2000])
before = recall(collection)
collection.modify(configuration={"hnsw": {"ef_search": 400}})
said = client.get_collection("notes", embedding_function=None).configuration["hnsw"]["ef_search"]
after = recall(client.get_collection("notes", embedding_function=None))
client.close()
client = chromadb.PersistentClient(folder, chromadb.Settings(anonymized_telemetry=False))
reopened = recall(client.get_collection("notes", embedding_function=None))
print(f"ef_search=10: {before:.2f}; set to 400, which the configuration says ({said}): {after:.2f}; opened again: {reopened:.2f}")
assert said == 400 and after == before and reopened > before + 0.3
P
"$folder/venv/bin/python" check.py
