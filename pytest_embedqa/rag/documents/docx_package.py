"""The parts of a Word file: a ZIP archive of XML files that refer to each other."""

from __future__ import annotations

from pathlib import Path
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING
from zipfile import ZipFile

if TYPE_CHECKING:
    from lxml.etree import _Element

# Word's namespaces end alike in transitional files and in Strict Open XML (ISO/IEC 29500), and so do the relation
# types.
_PREFIXES = {
    "/wordprocessingml/2006/main": "w",
    "/wordprocessingml/main": "w",
    "/officeDocument/2006/math": "m",
    "/officeDocument/math": "m",
    "/markup-compatibility/2006": "mc",
    "/drawingml/2006/main": "a",
    "/drawingml/main": "a",
    "/drawingml/2006/diagram": "dgm",
    "/drawingml/diagram": "dgm",
    "urn:schemas-microsoft-com:vml": "v",
}
_BY_NAMESPACE: dict[str, str] = {}


def name_of(element: _Element) -> str:
    """Return the name of an element with its usual prefix, such as ``w:p``, whatever prefix its file uses."""
    namespace, _, local = str(element.tag).rpartition("}")
    if namespace not in _BY_NAMESPACE:
        known = (prefix for end, prefix in _PREFIXES.items() if namespace.endswith(end))
        _BY_NAMESPACE[namespace] = next(known, namespace.rpartition("/")[2])
    return f"{_BY_NAMESPACE[namespace]}:{local}"


def attribute(element: _Element | None, name: str = "val") -> str | None:
    """Return an attribute by its local name; ``None`` without the element."""
    if element is None:
        return None
    return next((str(text) for key, text in element.items() if str(key).rpartition("}")[2] == name), None)


def number(element: _Element | None, default: int = 0) -> int:
    """Return the whole number that is an element's value."""
    return int(attribute(element) or default)


def is_on(element: _Element | None) -> bool:
    """Return whether an on/off property is present and not switched off."""
    return element is not None and attribute(element) not in {"0", "false", "off"}


class Package:
    """An open Word file.

    Attributes:
        main: Name of the part that holds the body; ``word/document.xml`` in most files.
    """

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            BadZipFile: If it is not a ZIP archive; a file with a password is not.
            ValueError: If it holds no document.
        """
        self._archive = ZipFile(path)
        self.main = self._related("", "/officeDocument")
        if not self.main:
            raise ValueError("no document in it")

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def part(self, name: str) -> _Element:
        """Return the XML of a part."""
        from lxml import etree

        root = etree.fromstring(self._archive.read(name), etree.XMLParser(resolve_entities=False, no_network=True))
        if root.getroottree().docinfo.internalDTD is not None:
            raise ValueError(f"{name} has a document type, which no Word file has")
        return root

    def related(self, kind: str) -> _Element | None:
        """Return the document's part of a kind, such as ``styles``, if it has such a part."""
        name = self._related(self.main, f"/{kind}")
        return self.part(name) if name else None

    def by_id(self, identifier: str | None) -> _Element | None:
        """Return the part that the document refers to by an identifier."""
        names = (name for one, _, name in self._relations(self.main) if one == identifier)
        return next(map(self.part, names), None)

    def _related(self, source: str, kind: str) -> str:
        return next((name for _, is_kind, name in self._relations(source) if is_kind.endswith(kind)), "")

    def _relations(self, source: str) -> list[tuple[str | None, str, str]]:
        """Return identifier, type and name of each part that a part refers to, as far as it exists."""
        folder, _, file = source.rpartition("/")
        rels = join(folder, "_rels", f"{file}.rels")
        if rels not in self._archive.namelist():
            return []
        found = [
            (
                one.get("Id"),
                str(one.get("Type")),
                normpath(join("/", dirname(source), str(one.get("Target")))).lstrip("/"),
            )
            for one in self.part(rels).iterchildren("{*}Relationship")
            if one.get("TargetMode") != "External"
        ]
        return [one for one in found if one[2] in self._archive.namelist()]
