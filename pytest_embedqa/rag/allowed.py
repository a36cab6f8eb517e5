"""Permissions of probe files: anybody's branch may bring one, and it gets nothing that the user has not allowed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pytest_embedqa.core.errors import DataError, SpecError
from pytest_embedqa.encoders.from_files import why_refused
from pytest_embedqa.encoders.proxies import is_local
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.rag.addresses import address_of, variables_of
from pytest_embedqa.rag.choices import HttpRetrieval
from pytest_embedqa.rag.documents import first_outside
from pytest_embedqa.rag.http import require
from pytest_embedqa.rag.openwebui import OpenWebUISettings, credentials
from pytest_embedqa.rag.probe import ProbeFile
from pytest_embedqa.rag.validation import place

_RULE = re.compile(r"(?P<name>\w+)\s*=\s*(?P<url>https?://[^\s/@?#]+)/?(?P<rest>(?<=/)\S+|[?#]\S*)?")
_NO_BRACKETS = str.maketrans("", "", "[]")
_HOST = re.compile(r"(?:[^\s/:@?#\[\]]+|\[[0-9a-fA-F:.]+\])(?::\d+)?")


@dataclass(frozen=True)
class Allowed:
    """The permissions of probe files beyond the folder of their project and this machine.

    Attributes:
        root: Folder of the project: pytest's rootdir.
        outside: Whether documents may lie elsewhere.
        hosts: Hosts that may be asked, with or without a port; this machine is always allowed.
        variables: Environment variables that may be sent, each with the addresses of the servers that may get it.
        specs: Specs that may be loaded whatever they start, import or reach.
    """

    root: Path
    outside: bool = False
    hosts: frozenset[str] = frozenset()
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    specs: tuple[Spec, ...] = ()

    def check(self, file: ProbeFile, *, own_service: bool = True, own_reranker: bool = True) -> None:
        """Refuse a file that asks for more than these permissions.

        Args:
            file: The probe file.
            own_service: Whether the file's own live system is used, rather than what the command line names.
            own_reranker: Whether the file's own reranker is used, likewise.

        Raises:
            DataError: With file and line, and the option that would allow it.
        """
        problems = [(file.lines.get("corpus", 1), problem) for problem in self._of_corpus(file)]
        asked = [self.problems_of(file.service)] if own_service else []
        asked += [self.problems_of_reranker(file.retrieval.reranker)] if own_reranker else []
        problems += [(file.lines.get("retrieve", 1), problem) for one in asked for problem in one]
        if problems:
            raise DataError("\n".join(f"{place(file.path, line)}: {problem}" for line, problem in problems))

    def problems_of(self, service: OpenWebUISettings | HttpRetrieval | None) -> Iterator[str]:
        """Yield each request of a file's live system that exceeds these permissions."""
        if service is None:
            return
        require("httpx", purpose="A live system")
        try:
            address = address_of(service.url)
            may_get = {name for name, urls in self.variables.items() if address in map(address_of, urls)}
        except SpecError as error:
            yield str(error)
            return
        wanted = variables_of(service.headers) if isinstance(service, HttpRetrieval) else credentials()
        with_port = f"{address.host}:{address.port}"
        if not (is_local(service.url) or self.hosts & {address.host, with_port} or may_get):
            yield (
                f"the host {address.host} is not asked, as only a file names it. If you trust it, allow it on the command "
                f"line:  --embedqa-allow-host={address.host}"
            )
        for named in _named_hosts(service) - {address.host, with_port} - self.hosts:
            yield (
                f"the header Host: {named!r:.80} is not sent to {address}, as a server may pass the request on to that host. "
                "If you trust it, allow it on the command line, with --embedqa-allow-host."
            )
        for name in sorted(wanted - may_get):
            yield (
                f"the environment variable {name} is not sent to {address}, as only a file asks for that. If you trust it, "
                f"allow it:  --embedqa-probe-env={name}={address}  (ini file: embedqa_probe_env)"
            )

    def problems_of_reranker(self, spec: Spec | None) -> Iterator[str]:
        """Yield what a file's reranker does beyond loading a model from its files, if that is not allowed."""
        if spec is not None and (reason := why_refused(spec, self.specs)):
            yield (
                f"the reranker '{spec}' is not loaded: {reason}, and a probe file may only name a model in files. If you trust it, "
                f"allow it on the command line:  --embedqa-allow-spec={shlex.quote(str(spec))}"
            )

    def _of_corpus(self, file: ProbeFile) -> Iterator[str]:
        if file.corpus is None or self.outside:
            return
        if found := first_outside(file.corpus, (self.root, file.path.parent)):
            link = "" if found == file.corpus else f": {found} is a link there"
            yield (
                f"the corpus {file.corpus} is not read, as it leads out of {self.root}, the rootdir{link}. If you trust "
                "it, allow it on the command line:  --embedqa-allow-outside"
            )


def _named_hosts(service: OpenWebUISettings | HttpRetrieval) -> set[str]:
    """Return the hosts that headers name beside the address of a live system."""
    headers = service.headers if isinstance(service, HttpRetrieval) else {}
    return {value.strip().lower().translate(_NO_BRACKETS) for name, value in headers.items() if name.lower() == "host"}


def read_rules(given: list[str]) -> Mapping[str, tuple[str, ...]]:
    """Parse environment variables with the addresses that may get them.

    Args:
        given: Rules as ``SEARCH_TOKEN=https://search.example.org``.

    Raises:
        SpecError: If a rule has another form.
    """
    rules: dict[str, tuple[str, ...]] = {}
    for text in given:
        match = _RULE.fullmatch(text.strip())
        if not match or not _is_one(match["url"]):
            raise SpecError(
                f"{text!r:.80} is not NAME=URL, an environment variable and who may get it, e.g. SEARCH_TOKEN=https://search.example.org."
            )
        if match["rest"]:
            raise SpecError(
                f"{match['name']} is allowed for a whole server, so its address must end with the host and port: "
                f"{match['name']}={match['url']}."
            )
        rules[match["name"]] = (*rules.get(match["name"], ()), match["url"])
    return rules


def _is_one(url: str) -> bool:
    """Return whether a URL names a single host: no pattern, and a valid port."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a bracket that is not closed, a port above 65535
        return False
    return port != 0 and "*" not in parts.netloc


def read_hosts(given: list[str]) -> frozenset[str]:
    """Parse hosts that may be asked; they become lower case.

    Raises:
        SpecError: If a text is no host.
    """
    for text in given:
        if not _HOST.fullmatch(text) or not _is_one(f"http://{text}"):
            raise SpecError(f"{text!r:.80} is not a host. Write its name alone, or HOST:PORT, e.g. search.example.org.")
    return frozenset(text.lower().translate(_NO_BRACKETS) for text in given)
