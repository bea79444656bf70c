"""This hook of mkdocs takes the files outside docs/ to which pages link, such as the format, into the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
LEAVES = re.compile(r"\]\(((?:\.\./)+[\w./-]+)")
"""A link that goes up may leave docs/."""


def linked_outside() -> set[str]:
    """Return the paths, from the root, of all files outside docs/ to which its pages link."""
    pages = ((page, target) for page in DOCS.rglob("*.md") for target in LEAVES.findall(page.read_text(encoding="utf-8")))
    targets = {(page.parent / target).resolve() for page, target in pages}
    return {target.relative_to(ROOT).as_posix() for target in targets if target.is_file() and DOCS not in target.parents}


def in_site(markdown: str, page: str) -> str:
    """Return a page's text with the links of the site, whose top is docs/ with the files from outside below it."""
    up = "../" * page.count("/")
    return markdown.replace(f"]({up}../", f"]({up}").replace(f"]({up}docs/", f"]({up}")


def on_files(files: Any, config: Any) -> Any:
    """Add what is linked to mkdocs' files."""
    from mkdocs.structure.files import File

    for path in sorted(linked_outside()):
        files.append(File(path, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Mend the links of a page before mkdocs checks them."""
    return in_site(markdown, page.file.src_uri)
