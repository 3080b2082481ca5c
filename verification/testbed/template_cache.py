"""The compiled templates of all of a process's dashboards: each dashboard by itself would compile all that it shows.

A page's first use would cost a test more than the rest of its work. What a page shows stays the same.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import aiohttp_jinja2
import jinja2

if TYPE_CHECKING:
    from types import CodeType

    from jinja2.bccache import Bucket


class CompiledTemplates(jinja2.BytecodeCache):
    """Jinja's compiled templates, by name and content, in memory."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Look up a template."""
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Store a template."""
        self._kept[bucket.key, bucket.checksum] = bucket.code


def compile_templates_once() -> None:
    """Let all dashboards that this process serves from now on share their compiled templates."""
    aiohttp_jinja2.setup = partial(aiohttp_jinja2.setup, bytecode_cache=CompiledTemplates())
