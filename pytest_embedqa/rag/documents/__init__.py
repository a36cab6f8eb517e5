"""The conversion of corpus files to text: PDF, Word, HTML, Markdown and plain text, each with its pages or headings."""

from pytest_embedqa.rag.documents.corpus import digest, files_of, first_outside, read_documents, sources, state
from pytest_embedqa.rag.documents.document import Document

__all__ = ["Document", "digest", "files_of", "first_outside", "read_documents", "sources", "state"]
