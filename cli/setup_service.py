"""The setup's offer of a service: a unit for systemd that starts the bot with the machine."""

import shutil
import sys
from pathlib import Path
from typing import Final

from cashback.domain.whole_files import written_whole
from cli.output import say
from cli.setup_questions import Questions

NAME: Final = "cashback.service"
UNIT: Final = """\
[Unit]
Description=Referral cashback bot
Wants=network-online.target time-sync.target
After=network-online.target time-sync.target

[Service]
Type=exec
WorkingDirectory={folder}
Environment="CASHBACK_CONFIG={config}"
ExecStart="{python}" -m cli bot
Restart=on-failure
RestartSec=10
RestartPreventExitStatus=78
TimeoutStopSec=20
KillMode=mixed
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ReadWritePaths="{folder}"
UMask=0077

[Install]
WantedBy=default.target
"""


def offer_service(questions: Questions, given: bool | None, config_path: Path) -> None:  # noqa: FBT001 -- an option
    """Offer to write the unit next to the configuration, on a machine that has systemd or if it was asked for."""
    if given is None and shutil.which("systemctl") is None:
        return
    path = config_path.absolute().with_name(NAME)
    wanted = questions.confirmed(
        f"Write {path}, which starts the bot with this machine? (y/n)",
        suggestion=False,
        option="--service",
        given=given,
    )
    if not wanted:
        return
    unit = UNIT.format(folder=path.parent, config=_named(config_path), python=sys.executable).replace("%", "%%")
    with written_whole(path) as unnamed:
        unnamed.write_text(unit, encoding="utf-8")
    say(f"{path} is written. To start it now and with this machine:")
    say(f"  systemctl --user enable --now {path}", "  loginctl enable-linger")


def _named(config_path: Path) -> str:
    """Return the configuration's path if the file exists; without one, the defaults and the local file count."""
    return str(config_path.absolute()) if config_path.exists() else ""
