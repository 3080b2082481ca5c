"""Writes what the setup found out: the token into `.env`, the answers into config.local.json."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cashback.config_files import merged, read_json
from cashback.domain.errors import CashbackError
from cashback.settings import SettingsError


def write_answers(path: Path, answers: Mapping[str, Any]) -> None:
    """Merge answers into the local file. What is there and was not asked for stays."""
    try:
        content = merged(read_json(path, must_exist=False), answers)
    except SettingsError as error:
        raise CashbackError(str(error)) from error
    _replace(path, json.dumps(content, indent=2, default=float, ensure_ascii=False) + "\n", mode=0o644)


def write_token(path: Path, token: str) -> None:
    """Put the token into `.env`, which only its owner may read. Its other lines stay."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        lines = []
    except UnicodeDecodeError as error:
        raise CashbackError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    kept = [line for line in lines if line.strip().removeprefix("export ").partition("=")[0].strip() != "DISCORD_TOKEN"]
    _replace(path, "\n".join([*kept, f"DISCORD_TOKEN={token}"]) + "\n", mode=0o600)


def _replace(path: Path, text: str, *, mode: int) -> None:
    """Write a file as a whole: a reader sees the old one or the new one. A link's target is written."""
    target = path.resolve()
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", suffix=".partial", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unnamed = Path(name)
        unnamed.chmod(mode)
        unnamed.replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
