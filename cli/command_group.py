"""How the command line finds its commands: each is imported when it is asked for, so that `--help` imports none."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from cashback.domain.dashes import with_hyphens
from cli.output import UsageError, remark

NEGATIVE_FIGURE: Final = re.compile(r"-\W*\d")


class Listed(NamedTuple):
    """A command in the help: its heading and its line."""

    heading: str
    summary: str


class Command(TyperCommand):
    """A command that reads its words as people type them, and names its own help if they do not fit."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- Typer has no public name for it
        """Read `-5` as a value, so that it is refused as an amount and not as an option."""
        ctx.ignore_unknown_options = any(NEGATIVE_FIGURE.match(argument) for argument in args)
        return super().parse_args(ctx, with_options(args, self.params))

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 -- as above
        """Run the command; options that do not go together are wrong usage of it."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            ctx.fail(str(error))


def with_options(arguments: list[str], parameters: list[Any]) -> list[str]:
    """Read `—only`, which a phone makes of `--only`, as the option."""
    names = {option.removeprefix("--") for parameter in parameters for option in parameter.opts} | {"help"}
    return [with_hyphens(argument, names) for argument in arguments]


class LazyCommands(Mapping[str, TyperCommand]):
    """The commands by name. Looking one up imports its module, `cli.NAME`, and builds it from `command` there."""

    def __init__(self, listed: Mapping[str, Listed]) -> None:
        self._listed = listed

    def __getitem__(self, name: str) -> TyperCommand:
        summary = self._listed[name].summary
        module = import_module(f"cli.{module_name(name)}")
        single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        single.command(name, cls=Command, help=summary)(module.command)
        built = typer.main.get_command(single)
        if not isinstance(built, TyperCommand):
            raise TypeError(name)
        return built

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)


def module_name(command: str) -> str:
    """Return the name of a command's module: the command's own, and `import_`, since `import` is a word of Python."""
    return {"import": "import_"}.get(command, command)


class CommandGroup(TyperGroup):
    """The program with its commands, listed in the help under headings."""

    headings: ClassVar[Mapping[str, Mapping[str, str]]]
    """Each heading's commands, and each command's line."""
    renamed: ClassVar[Mapping[str, str]]
    """Former names, and what the commands are called now."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 -- Typer has no public names for them
        super().__init__(**{**attributes, "commands": None})
        listed = {
            name: Listed(heading, summary)
            for heading, summaries in self.headings.items()
            for name, summary in summaries.items()
        }
        self.commands = LazyCommands(listed)  # type: ignore[assignment]  # commands are only ever looked up here

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 -- Typer has no public name for it
        """List the names without importing a command."""
        return list(self.commands)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- as above
        """Read the options before the command."""
        return super().parse_args(ctx, with_options(args, self.params))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 -- as above
        """Find the command, also by its former name."""
        [name, *rest] = args
        if name in self.renamed:
            remark(f"warning: `{ctx.command_path} {name}` is called `{ctx.command_path} {self.renamed[name]}` now.")
            name = self.renamed[name]
        return super().resolve_command(ctx, [name, *rest])

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 -- as above
        """List the commands under their headings, each with its whole line."""
        for heading, summaries in self.headings.items():
            with formatter.section(heading):
                formatter.write_dl(list(summaries.items()))
