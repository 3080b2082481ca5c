"""Writes the configuration's own files: answers into config.local.json, the token into `.env`. Never config.json."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from cashback.config_files import SettingsError, merged, read_json
from cashback.domain.errors import CashbackError

READABLE: Final = 0o644
OWNERS_ONLY: Final = 0o600


def write_answers(path: Path, answers: Mapping[str, Any]) -> None:
    """Merge answers into the local file. Its other keys stay. Raises CashbackError if it cannot be written."""
    with prepared_answers(path, answers) as write:
        write()


@contextmanager
def prepared_answers(path: Path, answers: Mapping[str, Any]) -> Iterator[Callable[[], object]]:
    """Merge answers into the local file when the yielded function is called; without a call it stays as it is.

    Raises CashbackError if the file is wrong, or if its folder does not accept another one: before the block.
    """
    try:
        content = merged(read_json(path, must_exist=False), answers)
    except SettingsError as error:
        raise CashbackError(str(error)) from error
    text = json.dumps(content, indent=2, default=float, ensure_ascii=False) + "\n"
    with _prepared(path, text, mode=READABLE) as write:
        yield write


def write_token(path: Path, token: str) -> None:
    """Put the token into `.env`, which only its owner may read. Its other lines stay. Raises CashbackError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        lines = []
    except UnicodeDecodeError as error:
        raise CashbackError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    except OSError as error:
        raise CashbackError(f"{path} cannot be read ({error.strerror}); make it readable for this user.") from error
    kept = [line for line in lines if line.strip().removeprefix("export ").partition("=")[0].strip() != "DISCORD_TOKEN"]
    with _prepared(path, "\n".join([*kept, f"DISCORD_TOKEN={token}"]) + "\n", mode=OWNERS_ONLY) as write:
        write()


def require_writable(path: Path) -> None:
    """Raise CashbackError if the file cannot be written."""
    with _prepared(path, "", mode=OWNERS_ONLY):
        pass


@contextmanager
def _prepared(path: Path, text: str, *, mode: int) -> Iterator[Callable[[], object]]:
    """Put a file as a whole in place when the yielded function is called: a reader sees the old one or the new one.

    A link's target is written.
    """
    target = path.resolve()
    unnamed: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}-", suffix=".partial", dir=target.parent)
        unnamed = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unnamed.chmod(mode)
        yield partial(unnamed.replace, target)
    except OSError as error:
        raise CashbackError(f"{path} cannot be written ({error.strerror}); make its folder writable.") from error
    finally:
        if unnamed is not None:
            unnamed.unlink(missing_ok=True)
