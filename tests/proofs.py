"""What `make proof` runs; `make test` runs the rest.

Proofs are also: all that is on PostgreSQL, the stories that are told again inside another bot, and the other rows of a
test whose first row `make test` runs. What Hypothesis draws runs in both (`tests/examples.py`).
"""

from __future__ import annotations

from typing import Final

LONG: Final = (
    "tests/cashback/dashboard/test_description.py",
    "tests/cashback/database/test_rules_of_the_money.py",
    "tests/deploy/test_container.py",
    "tests/test_package.py",
    "tests/verification/crash/",
    "tests/verification/fuzzing/",
    "tests/verification/night/",
    "tests/verification/simulation/test_long_run.py",
    "tests/verification/simulation/test_seeded_bugs.py",
    "tests/verification/simulation/test_seeds.py::test_random_worlds",
    "tests/verification/tampering/",
)
"""These take the longest."""

IN_CI: Final = (
    "tests/cashback/dashboard/test_browser.py",
    "tests/cashback/dashboard/test_floods.py",
    "tests/cashback/dashboard/test_hostile_requests.py",
    "tests/cashback/database/test_cdnow.py",
    "tests/cashback/database/test_moving.py::test_move_killed",
    "tests/cashback/database/test_temporary_files.py",
    "tests/cashback/database/test_two_bots_on_one_wallet.py",
    "tests/cashback/test_charts.py::test_a_chart_drawn_apart",
    "tests/cli/test_completion.py",
    "tests/cli/test_dashboard.py",
    "tests/cli/test_demo.py::test_demo_needs_nothing",
    "tests/cli/test_demo_serve.py",
    "tests/cli/test_import_fuzz.py",
    "tests/cli/test_missing_libraries.py::test_bot_and_dashboard_and_demo_start",
    "tests/cli/test_pay.py::test_control_c_during_a_run",
    "tests/cli/test_refusals.py::test_closed",
    "tests/cli/test_refusals.py::test_full_disk",
    "tests/cli/test_refusals.py::test_terminal_without",
    "tests/cli/test_runs.py::test_stop_in_one_process",
    "tests/cli/test_setup.py::test_interrupted_setup",
    "tests/cli/test_setup.py::test_recording",
    "tests/deploy/test_compose.py::test_commands_of_the_services_run_together",
    "tests/end_to_end/test_alerts.py",
    "tests/end_to_end/test_each_command_once.py::test_each_command_is_done",
    "tests/end_to_end/test_each_command_once.py::test_two_bots",
    "tests/end_to_end/test_each_command_once.py::test_without",
    "tests/end_to_end/test_extend_pages.py::test_shop",
    "tests/end_to_end/test_extension_life.py::test_a_host",
    "tests/end_to_end/test_extension_life.py::test_two_hosts",
    "tests/end_to_end/test_hard_places.py",
    "tests/end_to_end/test_process.py",
    "tests/end_to_end/test_run_commands.py::test_a_stop_from_another_process",
    "tests/end_to_end/test_same_numbers.py",
    "tests/end_to_end/test_two_bots.py",
    "tests/sandbox/test_chat_page.py",
    "tests/stages/test_runs.py::test_killed_process",
    "tests/test_scheduler.py::test_every_friday_of_two_years",
    "tests/test_transactions_run_twice.py",
    "tests/verification/simulation/test_seeds.py::test_campaign",
    "tests/verification/simulation/test_seeds.py::test_different",
)
"""These start a browser, bots as processes or other programs, or tell a long story. `.ci/run` runs them too."""
