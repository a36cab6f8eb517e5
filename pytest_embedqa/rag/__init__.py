"""RAG probes: questions to a knowledge base, with what must and must not come back."""
