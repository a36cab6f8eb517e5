"""Files of a corpus become texts: PDF, Word, HTML, Markdown and plain text, each with its pages or its headings."""

from pytest_embedqa.rag.documents.corpus import digest, read_documents, sources
from pytest_embedqa.rag.documents.document import Document

__all__ = ["Document", "digest", "read_documents", "sources"]
