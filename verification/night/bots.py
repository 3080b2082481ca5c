"""The night's bots: processes that are killed, frozen and started again, each with a clock of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from verification.night.clock import SharedClock

STOP_SECONDS: Final = 30
LOG: Final = "bot.log"
READY: Final = b"ready in"
"""What the bot logs when it is connected and at work."""


class NightBot:
    """One bot: its folder with config.json, log and clock, and its process."""

    def __init__(self, folder: Path, configuration: Mapping[str, object], secrets: Mapping[str, str]) -> None:
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(configuration))
        self.folder = folder
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **secrets}
        self.clock = SharedClock(folder / "clock")
        self._process: subprocess.Popen[bytes] | None = None
        self._older_log_bytes = 0

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self.is_running:
            return
        self._older_log_bytes = len(self._log())
        command = [sys.executable, "-m", "verification.night.bot_process", "clock"]
        with (self.folder / LOG).open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own module
                command, cwd=self.folder, env=self._environment, stdout=subprocess.DEVNULL, stderr=log
            )

    def _log(self) -> bytes:
        file = self.folder / LOG
        return file.read_bytes() if file.exists() else b""

    @property
    def is_ready(self) -> bool:
        """Whether the process is connected and at work."""
        return self.is_running and READY in self._log()[self._older_log_bytes :]

    @property
    def is_running(self) -> bool:
        """Whether the process runs; a frozen one does."""
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal, if it runs."""
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    async def kill(self) -> None:
        """End the process at once, as a power cut would."""
        self.send(signal.SIGKILL)
        await self._ended()

    async def stop(self) -> int | None:
        """Ask the process to stop; return its exit code, or None if it had to be killed."""
        self.send(signal.SIGTERM)
        with anyio.move_on_after(STOP_SECONDS):
            return await self._ended()
        await self.kill()
        return None

    async def _ended(self) -> int:
        if self._process is None:
            return 0
        while (code := self._process.poll()) is None:  # noqa: ASYNC110 -- a process has no event
            await anyio.sleep(0.05)
        return code

    def tracebacks(self) -> int:
        """Count the tracebacks in the log."""
        return self._log().count(b"Traceback")
