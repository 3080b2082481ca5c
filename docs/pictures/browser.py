"""Chromium without a window, driven over its own debugging protocol: opens a page, waits for it, takes pictures."""

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import anyio

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
)
LONGEST_SECONDS: Final = 30
POLL_SECONDS: Final = 0.05


class BrowserError(Exception):
    """The browser could not do what it was asked."""


class Page:
    """One page, driven by evaluating JavaScript in it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._asked = 0

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 -- the protocol's own values
        """Send one command and return its result. Raises BrowserError."""
        self._asked += 1
        await self._socket.send_json({"id": self._asked, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == self._asked:
                if "error" in answer:
                    message = f"{method}: {answer['error']}"
                    raise BrowserError(message)
                result: dict[str, Any] = answer["result"]
                return result

    async def evaluate(self, script: str) -> Any:  # noqa: ANN401 -- a script may return any value
        """Evaluate a script and return its value."""
        result = await self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            message = f"{script}: {result['exceptionDetails']}"
            raise BrowserError(message)
        return result["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until a script's value is true. Raises TimeoutError."""
        with anyio.fail_after(LONGEST_SECONDS):
            while not await self.evaluate(script):  # noqa: ASYNC110 -- a page has no event for this
                await anyio.sleep(POLL_SECONDS)

    async def open(self, address: str, *, width: int, height: int, shows: str = ".message") -> None:
        """Open an address in a window of this size, in CSS pixels; wait for an element with the selector `shows`."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1.0, mobile=False
        )
        # The fragment alone would not load the page again.
        await self.ask("Page.navigate", url="about:blank")
        await self.ask("Page.navigate", url=address)
        await self.shows(shows)

    async def prefer(self, scheme: str) -> None:
        """Let the machine prefer a colour scheme: light or dark."""
        await self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def shows(self, selector: str) -> None:
        """Wait until the page has loaded and has an element with this selector."""
        await self.until(
            f"document.readyState === 'complete' && document.querySelector({json.dumps(selector)}) !== null"
        )

    async def picture(self, path: Path, *, of: str | None = None, margin: int = 10) -> None:
        """Write a PNG of the window, or of the part that the elements with this selector take up.

        `margin` is the space above and below them.
        """
        clip: dict[str, Any] = {}
        if of is not None:
            box = await self.evaluate(
                f"(() => {{ const boxes = [...document.querySelectorAll({json.dumps(of)})]"
                ".map((each) => each.getBoundingClientRect());"
                "return [Math.min(...boxes.map((b) => b.left)), Math.min(...boxes.map((b) => b.top)),"
                "Math.max(...boxes.map((b) => b.right)), Math.max(...boxes.map((b) => b.bottom))]; })()"
            )
            left, top, right, bottom = box
            clip = {
                "clip": {
                    "x": left,
                    "y": max(top - margin, 0),
                    "width": right - left,
                    "height": bottom - top + 2 * margin,
                    "scale": 1,
                }
            }
        taken = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=of is not None, **clip)
        await anyio.Path(path).write_bytes(base64.b64decode(taken["data"]))


@asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    """Start Chromium with its own profile, and end it after the block. Raises BrowserError if none is installed."""
    program = next((found for found in map(shutil.which, NAMES) if found), None)
    if program is None:
        message = f"No browser found: install one of {', '.join(NAMES)}."
        raise BrowserError(message)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        async with await anyio.open_process(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                port = await _port(anyio.Path(profile) / "DevToolsActivePort")
                async with aiohttp.ClientSession() as session:
                    async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                        [target, *_] = [each for each in await answer.json() if each["type"] == "page"]
                    async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                        yield Page(socket)
            finally:
                process.terminate()


async def _port(file: anyio.Path) -> int:
    """Read the port that the browser chose."""
    with anyio.fail_after(LONGEST_SECONDS):
        while not await file.exists() or not (lines := (await file.read_text()).split()):  # noqa: ASYNC110 -- no event
            await anyio.sleep(POLL_SECONDS)
    return int(lines[0])
