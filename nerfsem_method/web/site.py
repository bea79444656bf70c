"""A site is a folder of pages that show bundles: it needs no server's code, no network and no Node.

Its pages work from a web server and from a disk alike. Browsers do not let a page on a disk read the files beside it, but do let
it run scripts, so each bundle lies there twice: as it is, and as a script that only pages on a disk load.
"""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Template

from nerfsem_method.codec import nsem
from nerfsem_method.codec.metadata import ENCODER, metadata_of
from nerfsem_method.desk import forbidden_by_windows
from nerfsem_method.errors import OutputError
from nerfsem_method.files import check_writable, replacing_folder
from nerfsem_method.playback.player import Player

HERE = Path(__file__).parent
SHARED = ("viewer.js", "style.css")
"""All pages of a site use these files."""
INDEX = "index.html"
DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"


@dataclass(frozen=True)
class Piece:
    """A piece is one bundle on the site; `name` is what its files are called, without their endings."""

    name: str
    page: str
    data: bytes
    bundle: nsem.Bundle

    @cached_property
    def record(self) -> dict[str, str]:
        """Return the Dublin Core elements that the bundle holds."""
        found = metadata_of(nsem.unpack(self.data, nsem.KNOWN_SECTIONS))
        return {name: text for name, text in found.items() if name != ENCODER}

    @property
    def title(self) -> str:
        """Return what the piece is called: by its metadata, or else as its file is."""
        return self.record.get("title", self.name)

    @property
    def address(self) -> str:
        """Return the bundle's address, as seen from its page."""
        return f"{self.name}.nsem"


def write_site(folder: Path, bundles: Iterable[Path]) -> list[Piece]:
    """Write the pages of some bundles into a new, empty or earlier site's folder, and return the pieces.

    Raises BundleError for a file that is no bundle, OutputError for a folder that holds anything else.
    """
    _check_folder(folder)
    paths = list(bundles)
    names = _names(paths)
    pieces = []
    for path, name in zip(paths, names, strict=True):
        data = nsem.read_bytes(path)
        page = f"{name}.html" if len(paths) > 1 else INDEX
        pieces.append(Piece(name, page, data, nsem.decode(data)))
    with replacing_folder(folder) as partial:
        for name in SHARED:
            (partial / name).write_bytes((HERE / name).read_bytes())
        for piece in pieces:
            _write_piece(partial, piece, alone=len(pieces) == 1)
        if len(pieces) > 1:
            (partial / INDEX).write_text(_index(pieces), encoding="utf-8")
    return pieces


def _check_folder(folder: Path) -> None:
    check_writable(folder / INDEX)
    entries = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    ours = {INDEX, *SHARED}
    for name in entries:
        if name.endswith(".nsem"):
            stem = name.removesuffix(".nsem")
            ours |= {name, f"{name}.js", f"{stem}.html", f"{stem}.webp"}
    foreign = sorted(entries - ours)
    if foreign:
        raise OutputError(f"{folder} holds other files ({foreign[0]}); name a new or empty folder, or a site to replace")


def _names(paths: list[Path]) -> list[str]:
    """Return a name for each file that no other has, of letters that addresses hold as they are."""
    names: list[str] = []
    for path in paths:
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-") or "piece"
        stem = f"{stem}-piece" if forbidden_by_windows(stem) else stem
        taken = {"index", *(name.lower() for name in names)}
        numbers = (f"{stem}-{number}" for number in range(2, len(paths) + 3))
        names.append(stem if stem.lower() not in taken else next(each for each in numbers if each.lower() not in taken))
    return names


def _write_piece(folder: Path, piece: Piece, alone: bool) -> None:
    from PIL import Image

    (folder / piece.address).write_bytes(piece.data)
    text = base64.b64encode(piece.data).decode()
    script = f"nerfsem.register({json.dumps(piece.address)}, {json.dumps(text)});\n"
    (folder / f"{piece.address}.js").write_text(script, encoding="utf-8")
    Image.fromarray(Player(piece.bundle, "cpu").frame(0)).save(folder / f"{piece.name}.webp", quality=85)
    (folder / piece.page).write_text(_page(piece, alone), encoding="utf-8")


def _page(piece: Piece, alone: bool) -> str:
    video = piece.bundle.video
    terms = "".join(f"<dt>{name.capitalize()}</dt><dd>{html.escape(text)}</dd>\n" for name, text in piece.record.items())
    return _filled(
        "piece.html",
        title=piece.title,
        name=piece.name,
        description=piece.record.get("description", f"{piece.title}, to be turned and looked at from all sides"),
        size=f"{len(piece.data) / 1000:.1f} kB",
        width=str(video.width),
        height=str(video.height),
        record=_Markup(f"<dl>\n{terms}</dl>" if terms else ""),
        linked=_Markup(_linked_data(piece)),
        back=_Markup("" if alone else f'<p><a href="{INDEX}">All pieces</a></p>'),
    )


def _linked_data(piece: Piece) -> str:
    """Return the record as JSON-LD. Within a script element no `<` may end it, and JSON has another way to write one."""
    record = {"@context": {"dc": DUBLIN_CORE}, "@id": piece.address}
    record |= {f"dc:{name}": text for name, text in piece.record.items()}
    return json.dumps(record, ensure_ascii=False, indent=1).replace("<", "\\u003c")


def _index(pieces: list[Piece]) -> str:
    items = "".join(
        f'<li><a href="{urllib.parse.quote(piece.page)}"><img src="{piece.name}.webp" alt="" loading="lazy">'
        f"<span>{html.escape(piece.title)}</span></a></li>\n"
        for piece in pieces
    )
    return _filled("index.html", count=str(len(pieces)), items=_Markup(items))


class _Markup(str):
    """A text is markup if it needs no escaping."""


def _filled(template: str, /, **texts: str) -> str:
    values = {key: text if isinstance(text, _Markup) else html.escape(text) for key, text in texts.items()}
    return Template((HERE / template).read_text(encoding="utf-8")).substitute(values)
