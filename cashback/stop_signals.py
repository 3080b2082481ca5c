"""SIGTERM, SIGINT and SIGHUP, received by a thread of their own from the first moment on.

The event loop need not run for it: a stop during the imports or while the loop is blocked ends the process too. As the
first process of a container a program has no default action for a signal, so nothing else would.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
TERMINAL_CLOSED: Final = signal.SIGHUP

LAST_RESORT_SECONDS: Final = 8
"""A stop may take ten seconds. After that, a waiting transaction is rolled back, and the next start continues it."""

Listener = Callable[[str], None]
"""Takes the signal's name, in the signals' thread."""


class StopSignals:
    """Receives the signals; without a listener one ends the process at once, with one it ends by itself in time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        self._is_held = False

    def hold(self) -> None:
        """Receive the signals from now on; a repeat does nothing. Call it in the main thread, before others start."""
        if self._is_held:
            return
        self._is_held = True
        # `nohup` starts a program that ignores it, and a blocked signal would be received all the same.
        is_ignored = signal.getsignal(TERMINAL_CLOSED) is signal.SIG_IGN
        held = SIGNALS if is_ignored else (*SIGNALS, TERMINAL_CLOSED)
        signal.pthread_sigmask(signal.SIG_BLOCK, held)
        threading.Thread(target=self._receive, args=(held,), name="stop signals", daemon=True).start()

    def listen(self, listener: Listener | None) -> None:
        """Let a listener stop the program, from now on. None ends that."""
        with self._lock:
            self._listener = listener

    def _receive(self, held: Sequence[signal.Signals]) -> None:
        received = signal.Signals(signal.sigwait(held))
        with self._lock:
            listener = self._listener
            if listener is not None:
                with suppress(Exception):
                    listener(received.name)
        if listener is not None:
            time.sleep(LAST_RESORT_SECONDS)
        # Nothing is open, or the stop takes too long. As after a crash, the ledger has all that the next start needs.
        os._exit(0)


stop_signals: Final = StopSignals()
"""The signals are the process's, so there is one of these."""
