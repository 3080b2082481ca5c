"""Reads the files of the configuration: JSON, `.env`, and files with one secret each. It does not know the keys.

`config.local.json`, if it stands next to `config.json`, is merged over it key by key.
"""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

FILE_SUFFIX: Final = "_FILE"
CREDENTIALS_FOLDER: Final = "CREDENTIALS_DIRECTORY"
"""systemd's variable: the folder with the unit's credentials, one file for each."""

LARGEST_SECRET_BYTES: Final = 65_536
EXPORT: Final = re.compile(r"^export\s+")


class SettingsError(ValueError):
    """A setting is wrong; the one line names it, its value, and the valid values."""


def local_path(path: Path) -> Path:
    """Return the path of the local file that is merged over this one: config.local.json for config.json."""
    return path.with_name(f"{path.stem}.local{path.suffix}")


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge key by key: an object into an object, anything else replaces."""
    found = dict(base)
    for key, value in over.items():
        old = found.get(key)
        found[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return found


def with_secret_files(environ: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """Add the secrets that are in files: NAME_FILE names the file of NAME, and systemd's folder has one file for each.

    `secrets` are the variables' names, or their beginnings if they end with an underscore. A variable itself takes
    precedence over systemd's file. Raises SettingsError if a secret is given twice, or if its file cannot be read.
    """
    names = tuple(secrets)
    found = dict(environ)
    for variable, value in environ.items():
        name = variable.removesuffix(FILE_SUFFIX)
        if name == variable or not _is_secret(name, names) or not value.strip():
            continue
        if environ.get(name, "").strip():
            raise SettingsError(f"Both {name} and {variable} are set; remove one of them.")
        del found[variable]
        found[name] = _read_secret(variable, Path(value.strip()))
    folder = environ.get(CREDENTIALS_FOLDER, "").strip()
    for path in _files_in(Path(folder)) if folder else []:
        name = path.name.upper().replace("-", "_")
        if _is_secret(name, names) and not found.get(name, "").strip():
            found[name] = _read_secret(f"{CREDENTIALS_FOLDER}'s {path.name}", path)
    return found


def _is_secret(name: str, secrets: tuple[str, ...]) -> bool:
    return any(name == each or (each.endswith("_") and name.startswith(each) and name != each) for each in secrets)


def _files_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return []


def _read_secret(origin: str, path: Path) -> str:
    """Read a secret from a file; line ends after it are not part of it."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_SECRET_BYTES + 1)
        text = content.decode("utf-8-sig").strip()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"{origin} is {path}, which cannot be read ({reason}); name a readable file.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{origin} is {path}, which is not UTF-8 text; write the secret alone into it.") from error
    if not text or len(content) > LARGEST_SECRET_BYTES:
        wrong = "is empty" if not text else f"is longer than {LARGEST_SECRET_BYTES:,} bytes"
        raise SettingsError(f"{origin} is {path}, which {wrong}; write the secret alone into it.")
    return text


def read_json(path: Path, *, must_exist: bool) -> dict[str, Any]:
    """Read the file into a dict; a missing file is empty unless it was named."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        if must_exist:
            raise SettingsError(f"{path} does not exist; create it, or name another with --config.") from error
        return {}
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); name another with --config.") from error
    try:
        content = json.loads(text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_no_repeats)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is not usable: {error}.") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} does not hold a JSON object; it must begin with {{.")
    return content


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON knows")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the key "{repeated}" occurs twice')
    return content


def read_dot_env(path: Path) -> dict[str, str]:
    """Parse KEY=VALUE lines; `export`, quotes, empty lines and comments are understood.

    A file that cannot be read counts as empty; `dot_env_fault` says why.
    """
    try:
        lines = _dot_env_text(path).splitlines()
    except SettingsError:
        return {}
    found = {}
    for line in lines:
        key, equals, value = EXPORT.sub("", line.strip(), count=1).partition("=")
        if equals and not key.startswith("#"):
            found[key.strip()] = _unquoted(value.strip())
    return found


def dot_env_fault(path: Path) -> str | None:
    """Return why a file that is there cannot be read."""
    try:
        _dot_env_text(path)
    except SettingsError as error:
        return str(error)
    return None


def _dot_env_text(path: Path) -> str:
    """Return the file's text. A folder of this name is another program's; it counts as a missing file."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text, so nothing in it counts; save it as UTF-8.") from error
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read ({error.strerror}), so nothing in it counts; make it readable for this user."
        ) from error


def _unquoted(value: str) -> str:
    """Return the text between quotes, or else before a comment."""
    if value[:1] in {'"', "'"} and value.find(value[0], 1) > 0:
        return value[1 : value.index(value[0], 1)]
    return "" if value.startswith("#") else value.partition(" #")[0].rstrip()
