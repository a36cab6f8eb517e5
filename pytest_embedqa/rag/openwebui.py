"""OpenWebUI as it runs: a corpus is uploaded to a collection of its own, searched as chats do, and deleted again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote
from uuid import uuid4

from pytest_embedqa.core.errors import EngineError, SpecError
from pytest_embedqa.core.secrets import hide
from pytest_embedqa.encoders.encoder import Progress
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, positive, public_spec, read_options
from pytest_embedqa.rag.documents import Document, files_of
from pytest_embedqa.rag.http import Service, require
from pytest_embedqa.rag.openwebui_answers import passages_of

FORM = "openwebui:http://HOST:PORT[?hybrid=true&knowledge=ID&bm25_weight=0.5&timeout=SECONDS]"
_KEY, _EMAIL, _PASSWORD = "OPENWEBUI_API_KEY", "OPENWEBUI_EMAIL", "OPENWEBUI_PASSWORD"
_CREDENTIALS = (
    f"The credentials are those of the environment variables {_KEY}, or {_EMAIL} and {_PASSWORD}; "
    "they must be an administrator's, for only these may read the settings of the search."
)
_HYBRID = (
    "ENABLE_RAG_HYBRID_SEARCH, in Admin Settings > Documents > Hybrid Search, "
    "or as an environment variable of OpenWebUI"
)
_NO_COLLECTION = {404: "The id of a collection is the last part of its page's address."}
_SECONDS_BETWEEN_LOOKS = 0.5
_SIGN_IN = "/api/v1/auths/signin"
_CONFIG = "/api/v1/retrieval/config"
_NO_ANSWER = {400: "Does its embedding server run, and has it the model? The log of OpenWebUI says more."}
_NOT_SIGNED_IN = {400: _CREDENTIALS, 429: f"Only so many sign-ins are allowed in a while; {_KEY} needs none."}


@dataclass(frozen=True)
class OpenWebUISettings:
    """The settings of an OpenWebUI and of its search.

    Attributes:
        url: Address of the server.
        hybrid: Whether it searches with BM25 and vectors; must equal the server's own setting.
        knowledge: Id of an existing collection; without it, a corpus is uploaded.
        bm25_weight: Weight of BM25 in hybrid search, 0 to 1; by default the server's own.
        timeout: Seconds for a request with upload and answer, and for the processing of a file.
    """

    url: str
    hybrid: bool = False
    knowledge: str | None = None
    bm25_weight: float | None = None
    timeout: int = 300


def parse_openwebui(text: str) -> OpenWebUISettings:
    """Parse a spec string, e.g. ``openwebui:http://127.0.0.1:8080?hybrid=true``.

    Raises:
        SpecError: If the form is wrong, a key unknown or a value invalid; the message shows the accepted form.
    """
    try:
        return _parsed(text)
    except (SpecError, ValueError) as error:
        raise SpecError(f"{error}\nThe form is {FORM}.") from None


def _parsed(text: str) -> OpenWebUISettings:
    head, _, query = text.partition("?")
    name, _, url = head.strip().partition(":")
    if name != "openwebui" or not url.startswith(("http://", "https://")):
        raise SpecError(f"'{public_spec(text)}' names no OpenWebUI.")
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    if len(dict(pairs)) < len(pairs):
        raise SpecError(f"The spec '{public_spec(text)}' sets a key more than once. Write each key once.")
    options = read_options(Spec(text, name, url, options=dict(pairs)), _KEYS)
    if "bm25_weight" in options and not options.get("hybrid"):
        raise SpecError(f"bm25_weight= in the spec '{public_spec(text)}' is for hybrid search: add hybrid=true.")
    return OpenWebUISettings(url.rstrip("/"), **options)


def _weight(raw: str) -> float:
    if not 0 <= float(raw) <= 1:
        raise ValueError("a number from 0 to 1 is expected")
    return float(raw)


_KEYS: Mapping[str, Parser] = {"hybrid": boolean, "knowledge": str, "bm25_weight": _weight, "timeout": positive}


class OpenWebUIRetriever:
    """A retriever that searches a running OpenWebUI.

    Attributes:
        collection: Id of the searched collection.
    """

    def __init__(
        self, settings: OpenWebUISettings, corpus: Path | None = None, progress: Progress | None = None
    ) -> None:
        """Sign in, and upload the corpus unless the settings name a collection.

        Args:
            settings: The settings of server and search.
            corpus: Folder or file to upload; hidden files stay out.
            progress: Progress of the upload.

        Raises:
            SpecError: If there are no credentials, or neither corpus nor collection.
            MissingDataError: If there is no corpus.
            DataError: If the corpus has no files, or one that can't be read.
            EngineError: If the server refuses, fails, or would search in another way; nothing is left on it.
            MissingExtraError: If a package is missing.
        """
        require("httpx", purpose="OpenWebUI")
        files = {} if settings.knowledge else uploads(corpus)
        self._settings = settings
        self._sources: dict[str, str] = {}  # by id of the uploaded file
        self._created = False
        self._service = _connect(settings)
        try:
            config = self._service.request("GET", _CONFIG)
            self._check_hybrid(on=self._service.field(config, "ENABLE_RAG_HYBRID_SEARCH", bool, _CONFIG))
            self._chunk_size = config.get("CHUNK_SIZE")
            if settings.knowledge:
                self.collection = settings.knowledge
                self._service.request("GET", f"/api/v1/knowledge/{_one(self.collection)}", hints=_NO_COLLECTION)
            else:
                self._create(files, progress or (lambda label, total: nullcontext(lambda done: None)))  # noqa: ARG005
        except BaseException as error:
            try:
                self.close()
            except EngineError as left:
                if isinstance(error, EngineError):
                    raise EngineError(f"{error}\n{left}") from None
            raise

    @property
    def to_cosine(self) -> Callable[[float], float] | None:
        """The conversion of a score to a cosine: the score of dense search is (1 + cosine) / 2.

        ``None`` for hybrid search: its scores come from a reranker, from reciprocal ranks, or from vectors made anew.
        """
        return None if self._settings.hybrid else lambda score: 2 * score - 1

    def __call__(self, query: str, k: int, /) -> list[Passage]:
        """Return the ``k`` passages that OpenWebUI finds.

        Raises:
            EngineError: If it does not answer, refuses, or finds nothing where dense search must find something.
        """
        answer = self._service.request(
            "POST",
            "/api/v1/retrieval/query/collection",
            hints=_NO_ANSWER,
            json={
                "collection_names": [self.collection],
                "query": query,
                "k": k,
                "k_reranker": k,  # otherwise hybrid search cuts at a setting of its own, 3 passages by default
                "hybrid": self._settings.hybrid,
                "hybrid_bm25_weight": self._settings.bm25_weight,
            },
        )
        passages = passages_of(answer, self._sources, self._service)
        if not passages and not self._settings.hybrid:
            raise EngineError(
                f"The OpenWebUI at {self._settings.url} found nothing, where dense search always finds what is nearest. "
                f"Either the collection {self.collection} is empty, or its vectors have another dimension than those "
                "of the embedding model that is set now, which OpenWebUI does not report: was the model changed "
                "since the collection was made? Reindex it, or set the former model again."
            )
        return passages

    def documents(self) -> Iterator[Document]:
        """Yield what was uploaded, as OpenWebUI has read it: without pages."""
        for file, source in self._sources.items():
            page = f"/api/v1/files/{_one(file)}"
            told = self._service.field(self._service.request("GET", page), "data", dict, page)
            yield Document(source, (str(told.get("content") or ""),))

    def close(self) -> None:
        """Delete the collection and the uploaded files, and close the connection.

        Raises:
            EngineError: If the server does not delete them; the text says what is left.
        """
        try:
            while self._sources:
                file = next(iter(self._sources))
                self._delete(file)
                del self._sources[file]
            if self._created:
                self._service.request("DELETE", f"/api/v1/knowledge/{_one(self.collection)}/delete")
                self._created = False
        except EngineError as error:
            left, self._sources, self._created = len(self._sources), {}, False
            raise EngineError(
                f"Left on the OpenWebUI at {self._settings.url}: the collection {self.collection} (its name begins "
                f"with 'embedqa-') and {left} files. Delete them there. {error}"
            ) from None
        finally:
            self._service.close()

    def _check_hybrid(self, *, on: bool) -> None:
        """Refuse a setting of hybrid search that differs from the server's, which silently overrides every request."""
        if self._settings.hybrid and not on:
            raise EngineError(
                f"hybrid=true is asked of the OpenWebUI at {self._settings.url}, which would silently search with "
                f"vectors alone: its hybrid search is off. Turn it on: {_HYBRID}."
            )
        if on and not self._settings.hybrid:
            raise EngineError(
                f"The OpenWebUI at {self._settings.url} has hybrid search on, and uses it whatever a request asks for. "
                f"Write hybrid=true, or turn it off: {_HYBRID}."
            )

    def _create(self, files: Mapping[str, Path], progress: Progress) -> None:
        made = self._service.request(
            "POST",
            "/api/v1/knowledge/create",
            json={"name": f"embedqa-{uuid4().hex[:8]}", "description": "Made by pytest-embedqa, which deletes it."},
        )
        self.collection = self._service.field(made, "id", str, "/api/v1/knowledge/create")
        self._created = True
        with progress("upload to OpenWebUI", len(files)) as advance:
            for source, path in files.items():
                try:
                    self._add(source, path)
                except EngineError as error:
                    raise EngineError(f"OpenWebUI did not take in '{source}'. {error}") from None
                advance(1)

    def _add(self, source: str, path: Path) -> None:
        with path.open("rb") as content:
            sent = self._service.request(
                "POST",
                "/api/v1/files/",
                params={"process": True, "process_in_background": False},
                files={"file": (path.name, content)},
            )
        file = self._service.field(sent, "id", str, "/api/v1/files/")
        self._sources[file] = source
        deadline = time.monotonic() + self._settings.timeout
        # Older versions process in the background regardless.
        while (status := self._status(file)) != "completed":
            if status == "failed":
                told = self._service.request("GET", f"/api/v1/files/{_one(file)}")
                reason = self._service.field(told, "data", dict, f"/api/v1/files/{_one(file)}").get("error")
                raise EngineError(
                    f"Its status is 'failed': {reason}. If its embedding server refuses (400, Bad Request), chunks "
                    f"have more tokens than the model takes: lower CHUNK_SIZE, which is {self._chunk_size} now."
                )
            if time.monotonic() > deadline:
                raise EngineError(
                    f"It is '{status}' after {self._settings.timeout} seconds. Set a longer timeout=, or look at its log."
                )
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        self._service.request("POST", f"/api/v1/knowledge/{_one(self.collection)}/file/add", json={"file_id": file})

    def _status(self, file: str) -> str:
        page = f"/api/v1/files/{_one(file)}/process/status"
        return self._service.field(self._service.request("GET", page), "status", str, page)

    def _delete(self, file: str) -> None:
        try:
            # This call also deletes its vectors, of which DELETE leaves a copy.
            self._service.request(
                "POST",
                f"/api/v1/knowledge/{_one(self.collection)}/file/remove",
                params={"delete_file": True},
                json={"file_id": file},
            )
        except EngineError:  # it was never added to the collection
            self._service.request("DELETE", f"/api/v1/files/{_one(file)}")


def credentials() -> set[str]:
    """Return the names of the environment variables that sign in a connection."""
    return {_KEY} if os.environ.get(_KEY, "").strip() else {_EMAIL, _PASSWORD}


def _connect(settings: OpenWebUISettings) -> Service:
    """Return a connection that is signed in."""
    key, email, password = (os.environ.get(name, "").strip() for name in (_KEY, _EMAIL, _PASSWORD))
    if not key and not (email and password):
        raise SpecError(
            f"OpenWebUI needs an administrator's credentials in the environment: {_KEY}, or {_EMAIL} and {_PASSWORD}."
        )
    headers = {"Authorization": f"Bearer ${{{_KEY}}}"} if key else {}
    service = Service(settings.url, timeout=settings.timeout, headers=headers, hints={401: _CREDENTIALS})
    if not key:
        hide(password)
        try:
            answer = service.request(
                "POST", _SIGN_IN, hints=_NOT_SIGNED_IN, json={"email": email, "password": password}
            )
            token = service.field(answer, "token", str, _SIGN_IN)
        except BaseException:
            service.close()
            raise
        service.authorise(token)
    return service


def _one(name: str) -> str:
    """Return an id as one part of a path, whatever characters it has."""
    return quote(name, safe="")


def uploads(corpus: Path | None) -> dict[str, Path]:
    """Return the files of a corpus by their path below it; a single file by its name."""
    if corpus is None:
        raise SpecError(f"OpenWebUI needs a corpus, or the id of a collection that it has: knowledge=ID in {FORM}.")
    return {source: path for path, source in files_of(corpus)}
