"""People's actions in the local Discord: type, press buttons, choose from menus, use commands, send forms."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import anyio

from sandbox.answers import AnswerKind, InteractionKind
from sandbox.errors import SandboxError
from sandbox.form_limits import TEXT_INPUT
from sandbox.model import BUTTON, EventName, Message
from sandbox.permissions import sees
from sandbox.state import Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sandbox.answers import Interaction
    from sandbox.commands import Commands
    from sandbox.interactions import Interactions
    from sandbox.model import Change, Json
    from sandbox.state import State

REACTION_SECONDS = 0.02


class People:
    """Acts for members, within the limits of their clients, and watches messages for them."""

    def __init__(self, state: State, commands: Commands, interactions: Interactions) -> None:
        self._state = state
        self._commands = commands
        self._interactions = interactions

    def say(self, channel_id: int, member_id: int, content: str, *, reply_to: int | None = None) -> Message:
        """Type a message in a channel, or in the member's own DM with the bot."""
        self._check_presence(channel_id, member_id)
        if not content.strip():
            message = "nothing was typed"
            raise SandboxError(message)
        return self._state.post(channel_id, member_id, Draft(content=content, reference_id=reply_to))

    async def click(
        self, message_id: int, custom_id: str, member_id: int, values: Sequence[str] | None = None
    ) -> Interaction:
        """Press a button, or choose `values` from a menu, of a message that this member sees."""
        message = self._state.messages.get(message_id)
        if message is None or not message.seen_by(member_id):
            reason = f"{member_id} sees no message {message_id}"
            raise SandboxError(reason)
        await self._reach(message)
        self._check_presence(message.channel_id, member_id)
        part = next((each for each in message.parts() if each.get("custom_id") == custom_id), None)
        if part is None or part.get("disabled"):
            there = [each.get("custom_id") for each in message.parts()]
            reason = f"{custom_id} cannot be pressed; there: {there}, it is {part}"
            raise SandboxError(reason)
        data: Json = {"custom_id": custom_id, "component_type": part["type"], "id": part.get("id", 1)}
        if part["type"] != BUTTON:
            data["values"] = list(values or [])
        return self._interactions.start(
            InteractionKind.COMPONENT,
            channel_id=message.channel_id,
            member_id=member_id,
            data=data,
            message=message,
        )

    def slash(self, channel_id: int, member_id: int, path: str, options: Mapping[str, Any]) -> Interaction:
        """Use a slash command; `path` includes a subcommand's words."""
        self._check_presence(channel_id, member_id)
        data = self._commands.invocation(path, options, in_guild=not self._state.channel(channel_id).is_direct)
        return self._interactions.start(InteractionKind.COMMAND, channel_id=channel_id, member_id=member_id, data=data)

    async def autocomplete(
        self, channel_id: int, member_id: int, path: str, focused: str, options: Mapping[str, Any]
    ) -> list[Json]:
        """Type in one option of a slash command; return the bot's suggestions as dictionaries of `name` and `value`."""
        self._check_presence(channel_id, member_id)
        in_guild = not self._state.channel(channel_id).is_direct
        data = self._commands.invocation(path, {focused: "", **options}, focused=focused, in_guild=in_guild)
        interaction = self._interactions.start(
            InteractionKind.AUTOCOMPLETE, channel_id=channel_id, member_id=member_id, data=data
        )
        answer = await interaction.answered()
        choices: list[Json] = answer.data.get("choices", [])
        return choices

    def submit(self, interaction: Interaction, values: Mapping[str, str]) -> Interaction:
        """Send the form that the bot answered an interaction with, its texts by custom id."""
        if interaction.answer is None or interaction.answer.kind is not AnswerKind.MODAL:
            reason = "the bot showed no form"
            raise SandboxError(reason)
        form = interaction.answer.data
        ids = count(1)
        data: Json = {
            "custom_id": form["custom_id"],
            "components": [_filled(row, values, ids) for row in form["components"]],
            "resolved": {},
        }
        return self._interactions.start(
            InteractionKind.MODAL,
            channel_id=interaction.channel_id,
            member_id=interaction.member_id,
            data=data,
            message=interaction.message,
            source=interaction,
        )

    async def wait_for(
        self, predicate: Callable[[Message], bool], timeout_seconds: float, after: Message | int | None
    ) -> Message:
        """Wait for a message, new or edited, that matches the predicate; the newest if there are several."""
        least = after.id if isinstance(after, Message) else after or 0
        news: list[Message] = []
        happened = anyio.Event()

        def listen(change: Change) -> None:
            if isinstance(change.subject, Message) and change.event is not EventName.MESSAGE_DELETE:
                news.append(change.subject)
                happened.set()

        self._state.listeners.append(listen)
        try:
            candidates = list(self._state.messages.values())
            with anyio.fail_after(timeout_seconds):
                while True:
                    for message in reversed(candidates):
                        if message.id > least and not message.deleted and predicate(message):
                            return message
                    await happened.wait()
                    happened = anyio.Event()
                    candidates, news = news, []
        finally:
            self._state.listeners.remove(listen)

    async def _reach(self, message: Message) -> None:
        """Wait as long as a person takes: the bot must have the response about its written message.

        If a click arrives before the client read that response, it does not know the button yet and drops the click. No
        person is that fast, and no event shows when the bot has read the response.
        """
        if message.settled is not None:
            await message.settled.wait()
            await anyio.sleep(max(0.0, message.settled_at + REACTION_SECONDS - anyio.current_time()))

    def _check_presence(self, channel_id: int, member_id: int) -> None:
        channel = self._state.channel(channel_id)
        person = self._state.user(member_id)
        if channel.recipient_id not in {None, member_id}:
            reason = f"this is not {person.name}'s DM"
            raise SandboxError(reason)
        if not channel.is_direct and not person.in_guild:
            reason = f"{person.name} is not in the guild"
            raise SandboxError(reason)
        if not sees(self._state, person, channel):
            reason = f"{person.name} does not see #{channel.name}"
            raise SandboxError(reason)


def _filled(part: Json, values: Mapping[str, str], ids: Iterator[int]) -> Json:
    """Fill a form's row or label with the typed text. Discord gives each part an id, in reading order."""
    shape: Json = {"type": part["type"], "id": part.get("id") or next(ids)}
    if "components" in part:
        return {**shape, "components": [_filled(each, values, ids) for each in part["components"]]}
    if "component" in part:
        return {**shape, "component": _filled(part["component"], values, ids)}
    if part["type"] != TEXT_INPUT:
        return shape
    custom_id = part.get("custom_id", "")
    return {**shape, "custom_id": custom_id, "value": values.get(custom_id, "")}
