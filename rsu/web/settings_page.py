"""The page `/config`, built with NiceGUI: the site file in an editor, its problems, its past.

In: a `SiteFile`. Out: the page. NiceGUI is loaded when somebody first opens the page: it costs some
40 MB and a second, and the live page needs nothing of it but its charts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from rsu.web.site_file import Check, SiteFile, SiteFileError, digest_of, spelled

PATHS = ("/config", "/_nicegui")
"""What NiceGUI answers: the page, its files and its own WebSocket."""
Told = tuple[str, str]
"""A line and its colour."""

WORDS = {
    "title": ("Site file", "站点配置"),
    "back": ("← Live page", "← 实时画面"),
    "check": ("Check", "校验"),
    "diff": ("Show changes", "查看差异"),
    "save": ("Save", "保存"),
    "load": ("Load again", "重新载入"),
    "versions": ("Earlier versions", "历史版本"),
    "read_only": (
        "Read-only. To change it here, set web.token_file in this file and restart the unit.",
        "只读。如需在此修改，请在配置中设置 web.token_file 并重启设备。",
    ),
    "no_file": ("This run has no site file to change.", "当前运行没有可修改的配置文件。"),
    "fine": ("No problems.", "校验通过。"),
    "same": ("Nothing is changed.", "没有改动。"),
    "saved": (
        "Saved. The unit takes it in when it is reloaded (systemctl reload rsu) or started again.",
        "已保存，设备重新加载（systemctl reload rsu）或重启后生效。",
    ),
    "restored": ("Loaded into the editor; save to put it back.", "已载入编辑器，保存后生效。"),
    "none": ("none yet", "暂无"),
}


class SettingsPage:
    """An ASGI application that comes to life with its first request, and is closed as a context."""

    def __init__(self, file: SiteFile | None, language: str) -> None:
        self._file = file
        self._column = 1 if language == "zh" else 0
        self._app: ASGIApp | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> SettingsPage:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._open.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(PATHS):
            refusal = PlainTextResponse("nothing here\n", 404)
            if scope["type"] == "websocket":
                await WebSocket(scope, receive, send).send_denial_response(refusal)
            else:
                await refusal(scope, receive, send)
            return
        if self._app is None:
            self._app = await self._begin()
        await self._app(scope, receive, send)

    async def _begin(self) -> ASGIApp:
        from fastapi import FastAPI
        from nicegui import ui

        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

        @ui.page("/config", title="RSU", dark=True)
        def config_page() -> None:
            self._build()

        ui.run_with(app, show_welcome_message=False, reconnect_timeout=10.0, tailwind=False)
        await self._open.enter_async_context(app.router.lifespan_context(app))
        return app

    def _word(self, key: str) -> str:
        return WORDS[key][self._column]

    def _build(self) -> None:
        from nicegui import ui

        ui.colors(primary="#1f9d80")
        file = self._file
        with ui.row().classes("w-full items-center"):
            ui.link(self._word("back"), "/").props("id=back")
            ui.label(self._word("title")).style("font-size: 20px; font-weight: 600")
            if file is not None:
                ui.label(file.path.name).style("opacity: .6")
        if file is None:
            ui.label(self._word("no_file"))
            return
        try:
            text = file.text()
        except SiteFileError as error:
            ui.label(str(error))
            return
        _Editor(self, file, text).build()


class _Editor:
    """The editor of one open page."""

    def __init__(self, page: SettingsPage, file: SiteFile, text: str) -> None:
        self._page = page
        self._file = file
        self._digest = digest_of(text)
        self._text = text

    def build(self) -> None:
        from nicegui import ui

        word = self._page._word
        changeable = self._file.may_change
        if not changeable:
            ui.label(word("read_only")).props("id=read-only").style("color: #ffbf47")
        self._editor = ui.codemirror(self._text, language="YAML", theme="vscodeDark").style(
            "width: 100%; height: 58vh"
        )
        if not changeable:
            self._editor.disable()
        with ui.row():
            ui.button(word("check"), on_click=self._check).props("id=check no-caps")
            if changeable:
                ui.button(word("diff"), on_click=self._diff).props("id=diff no-caps flat")
                ui.button(word("save"), on_click=self._save).props("id=save no-caps")
                ui.button(word("load"), on_click=ui.navigate.reload).props("id=load no-caps flat")
        self._told = ui.column().props("id=told").style("width: 100%; gap: 2px")
        with ui.expansion(word("versions")).props("id=versions").style("width: 100%"):
            names = self._file.versions()
            for name in names:
                with ui.row().classes("items-center"):
                    ui.label(name)
                    if changeable:
                        ui.button("↶", on_click=lambda _, n=name: self._restore(n)).props("flat")
            if not names:
                ui.label(word("none"))

    def _tell(self, lines: list[Told]) -> None:
        from nicegui import ui

        self._told.clear()
        with self._told:
            for text, colour in lines:
                ui.label(text).style(
                    f"color: {colour}; white-space: pre-wrap; font-family: monospace"
                )

    def _problems(self, check: Check) -> list[Told]:
        lines = [
            (f"{p.line}:{p.column}  {p.path}: {p.message}"
             + (f" ({p.suggestion}?)" if p.suggestion else ""),
             "#ffbf47" if p.warning else "#ff6464")
            for p in check.problems
        ]  # fmt: skip
        return lines or [(self._page._word("fine"), "#3ddb8a")]

    async def _check(self) -> None:
        await self._guarded(lambda text: self._problems(self._file.check(text)))

    async def _diff(self) -> None:
        def changes(text: str) -> list[Told]:
            meant = [(spelled(change), "#64a9ff") for change in self._file.check(text).changes]
            lines = [(line, _colour(line)) for line in self._file.diff(text).splitlines()]
            return meant + lines or [(self._page._word("same"), "#8b98aa")]

        await self._guarded(changes)

    async def _save(self) -> None:
        def save(text: str) -> list[Told]:
            check = self._file.save(text, self._digest, "dashboard")
            self._digest = digest_of(text)
            return [(self._page._word("saved"), "#3ddb8a"), *self._problems(check)]

        await self._guarded(save, problems_first=True)

    def _restore(self, name: str) -> None:
        try:
            self._editor.value = self._file.version(name)
        except SiteFileError as error:
            self._tell([(str(error), "#ff6464")])
            return
        self._tell([(self._page._word("restored"), "#ffbf47")])

    async def _guarded(
        self, work: Callable[[str], list[Told]], *, problems_first: bool = False
    ) -> None:
        """Do slow work beside the event loop, and tell what it says or why it cannot."""
        text = str(self._editor.value)
        try:
            told = await asyncio.to_thread(work, text)
        except SiteFileError as error:
            told = [(str(error), "#ff6464")]
            if problems_first:
                told += self._problems(await asyncio.to_thread(self._file.check, text))
        self._tell(told)


def _colour(line: str) -> str:
    return {"+": "#3ddb8a", "-": "#ff6464", "@": "#64a9ff"}.get(line[:1], "#8b98aa")
