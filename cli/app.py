"""The `cashback` command: its list of commands, and exit codes. Each command is in the file of its own name.

Exit codes: 0 done, 1 an error in one line on standard error, 2 wrong usage, 3 done with failures.
"""

import gc
import io
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from cashback.domain.errors import CashbackError
from cashback.standard_streams import drop, open_missing
from cli.command_group import CommandGroup
from cli.options import ConfigOption, DatabaseOption
from cli.output import complain, one_line, recorded

HELP: Final = """\
Pay a community the referral cashback that it has earned.

New here? `cashback demo` shows a whole payout and needs nothing. Then `cashback setup` asks for what it needs, and
`cashback bot` runs the bot.
"""
COMMANDS: Final = {
    "Start here": {
        "demo": "Show a whole payout on a local Discord; it needs no token and keeps nothing.",
        "setup": "Set up the bot: asks for the token, and for the rest by name.",
        "doctor": "Check the setup and explain how to fix problems.",
        "bot": "Run the bot until it is stopped.",
        "seed": "Fill an empty ledger with a sample community.",
    },
    "Pay": {
        "pending": "Show what would be paid now.",
        "pay": "Pay what is pending: to everyone, to one member or to some.",
        "approve": "Approve, as the second admin, a batch that needs two, and pay it.",
        "schedule": "Show the weekly batch, or pause, resume or skip it.",
        "reverse": "Reverse a batch's credited cashback, as far as the wallets hold it.",
        "wallet": "Show a member's wallet, or adjust it with a reason.",
        "withdrawals": "List what members asked to withdraw, and mark it as paid or decline it.",
        "worker": "Credit running batches in a process of its own, next to the bot and other workers.",
    },
    "When a batch does not finish": {
        "resume": "Finish the batches that were approved and are not finished.",
        "failures": "List the failed payouts that still need a decision.",
        "retry": "Try a batch's failed payouts again.",
        "stop": "Stop a running batch after its current chunk.",
        "abandon": "End a stopped batch, or abandon a finished one's failed payouts; the cashback stays pending.",
        "notifications": "Count the direct messages that failed, or queue them again.",
    },
    "Look": {
        "history": "List the batches, newest first.",
        "show": "Show one batch and its payouts.",
        "stats": "Show what was distributed: by week, and the members with the most.",
        "export": "Write payouts to a file for bookkeeping.",
        "dashboard": "Open the dashboard in a browser, without Discord.",
    },
    "Record": {
        "import": "Import purchases and referrals from files of shops.",
        "purchase": "Record one purchase and show what it earned.",
        "shop": "Connect a shop that reports its orders itself, and see what its deliveries did.",
        "order": "Show an order, correct it, or assign one that waits for its member.",
        "refund": "Record a refund and show what it takes off the referrer's cashback.",
        "blacklist": "Bar a member from referral cashback.",
    },
    "Look after the ledger": {
        "verify": "Prove from the rows that the books balance.",
        "backup": "Copy the ledger, even while a batch runs.",
        "restore": "Put a checked backup in the ledger's place, and compare it with the audit channel.",
        "vacuum": "Replace the messages of old batches by counts, as the bot does every day.",
        "migrate": "Create the ledger, adopt another bot's, or upgrade it.",
        "move": "Move the ledger to another database, and close the old one.",
    },
}
NARROWEST: Final = 40
WIDEST: Final = 100
COLLECT_AFTER: Final = 50_000
"""Objects made between two runs of the garbage collector. Imports and rows make no cycles: with Python's 700, looking
for them is a tenth of a short command's time and a sixth of an import's."""


class Cashback(CommandGroup):
    """The commands of this program."""

    headings = COMMANDS
    renamed = {"give-up": "abandon"}  # noqa: RUF012 -- a constant of the class


app = typer.Typer(
    name="cashback",
    cls=Cashback,
    help=HELP,
    epilog="`cashback COMMAND --help` shows a command's options.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 -- Typer calls it so
    if wanted:
        from importlib import metadata  # noqa: PLC0415 -- only this option needs it

        try:
            typer.echo(f"cashback {metadata.version('cashback')}")
        except metadata.PackageNotFoundError:
            typer.echo("cashback (not installed)")
        raise typer.Exit


@app.callback()
def main_options(
    context: typer.Context,
    *,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,  # noqa: ARG001 -- Typer reads it
    version: Annotated[  # noqa: ARG001 -- Typer reads it
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Keep the options before the command for the command."""
    context.obj = (config, database)


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code. The one place where an error becomes a line on standard error."""
    _accept_any_text()
    recorded.clear()
    width = max(NARROWEST, min(shutil.get_terminal_size().columns, WIDEST))
    try:
        code = app(list(arguments) or ["--help"], prog_name="cashback", standalone_mode=False, terminal_width=width)
        sys.stdout.flush()
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "cashback"
        message = error.format_message().rstrip(".")
        complain(f"{message}{'' if message.endswith('?') else '.'} See `{command} --help`.")
        return 2
    except CashbackError as error:
        complain(error)
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted; what was committed before stays.")
    except OSError as error:
        # If the reader of the output has gone, there is nobody left to inform.
        if "temporary directory" in str(error):
            complain("there is no folder for temporary files; set TMPDIR to one that may be written.")
        elif not isinstance(error, BrokenPipeError):
            stays = "; what was recorded before stays, so look before you repeat it" if recorded.is_set() else ""
            complain(f"{error.filename or 'the output'}: {error.strerror or error}{stays}.")
        _drop_output()
    except Exception as error:
        if "--debug" in arguments:
            raise
        complain(f"unexpected {type(error).__name__}: {one_line(error)} (`cashback --debug …` shows where).")
    else:
        return int(code or 0)
    return 1


def _drop_output() -> None:
    """Drop the output if it cannot be written: Python must not try again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        drop(sys.stdout)


def _accept_any_text() -> None:
    """Write a replacement for a character that the terminal's encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def main() -> None:
    """Run the command that this process was started with."""
    open_missing()
    gc.set_threshold(COLLECT_AFTER)
    # To look for plugins, pydantic reads the description of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
