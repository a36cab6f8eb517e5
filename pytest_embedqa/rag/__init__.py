"""RAG probes: questions to a knowledge base, with the passages that must and must not come back."""
