"""Hooks of mkdocs: they add the reference to the site, and turn links that leave docs/ into repository links."""

import posixpath
import re
from pathlib import Path
from typing import Any

from reference import pages

DOCS = Path(__file__).parent
LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")


def on_files(files: Any, *, config: Any) -> Any:
    """Add the pages of the reference."""
    from mkdocs.structure.files import File

    for place, text in pages().items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Return a page whose links to files outside docs/ lead to the repository's home.

    Relative links work where the page is read in the repository; these work on the site.
    """
    folder = posixpath.dirname(page.file.src_uri)

    def rewritten(link: re.Match[str]) -> str:
        opened, target, anchor, closed = link.groups()
        place = posixpath.normpath(posixpath.join("docs", folder, target))
        if "://" in target or place.startswith("docs/"):
            return link[0]
        kind = "tree" if (DOCS.parent / place).is_dir() else "blob"
        return f"{opened}{config['repo_url']}/{kind}/main/{place}{anchor or ''}{closed}"

    return LINK.sub(rewritten, markdown)
