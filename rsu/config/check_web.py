"""Cross-checks of section `web`: the files that guard the dashboard are there and good for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rsu.config import check_files
from rsu.config.model import SiteConfig
from rsu.config.problems import Note
from rsu.config.web import TOKEN_CHARACTERS


def notes(config: SiteConfig, base: Path) -> Iterator[Note]:
    """Token and certificate of the dashboard; nothing of a dashboard that is switched off."""
    web = config.web
    if web is None or not web.enabled:
        return
    if web.token_file is not None:
        at = ("web", "token_file")
        yield from check_files.secret(web.token_file, base, at)
        try:
            token = (base / web.token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            token = None
        if token is not None and len(token) < TOKEN_CHARACTERS:
            message = f"holds {len(token)} characters; a login token has {TOKEN_CHARACTERS} or more"
            yield Note(at, message)
    if web.tls is not None:
        yield from check_files.file(
            web.tls.certificate, base, ("web", "tls", "certificate"), "file"
        )
        yield from check_files.secret(web.tls.key, base, ("web", "tls", "key"))
