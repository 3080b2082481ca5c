"""Files that are written as a whole or not at all: a full disk leaves no half of one, and an error names the file."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cashback.domain.errors import CashbackError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a file next to `path` that takes its place at the end of the block; a link's target is written.

    What is no regular file, such as a device or a pipe, is written itself. Raises CashbackError.
    """
    target = path.resolve()
    is_regular = target.is_file() or not target.exists()
    written = target.with_name(f".{target.name}-{secrets.token_hex(4)}.partial") if is_regular else target
    try:
        yield written
        if is_regular:
            written.replace(target)
    except OSError as error:
        raise CashbackError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        if is_regular:
            written.unlink(missing_ok=True)
