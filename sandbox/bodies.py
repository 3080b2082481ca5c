"""Parses requests: JSON bodies, forms with files, and the message that they describe."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import BodyPartReader, web

from sandbox import errors, limits, payloads
from sandbox.model import Attachment, Json, Message
from sandbox.state import Draft

if TYPE_CHECKING:
    from sandbox.state import State


@dataclass(slots=True, kw_only=True, frozen=True)
class Upload:
    """A file of a form; `number` is the n of its field `files[n]`."""

    number: int
    filename: str
    content_type: str
    data: bytes


@dataclass(slots=True, kw_only=True, frozen=True)
class Body:
    """A request's JSON, None if it has no body, and its files."""

    json: Any = None
    files: tuple[Upload, ...] = ()

    @property
    def fields(self) -> Json:
        """The JSON if it is an object, else an empty one."""
        return self.json if isinstance(self.json, dict) else {}


async def read_body(request: web.Request) -> Body:
    """Read a request to its end."""
    if request.content_type == "multipart/form-data":
        return await _read_form(request)
    if request.content_type == "application/x-www-form-urlencoded":
        posted = (await request.post()).get("payload_json")
        return Body(json=_parse(posted)) if isinstance(posted, str) else Body()
    text = await request.text()
    return Body(json=_parse(text)) if text else Body()


async def _read_form(request: web.Request) -> Body:
    fields: Json = {}
    files: list[Upload] = []
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise errors.invalid_form({"_errors": [{"code": "INVALID_FORM", "message": "Invalid form"}]})
        data = bytes(await part.read(decode=True))
        if part.name == "payload_json":
            fields = _parse(data.decode())
        else:
            files.append(_upload(part.name, part.filename or "unknown", data))
    return Body(json=fields, files=tuple(files))


def _upload(name: str, filename: str, data: bytes) -> Upload:
    if len(data) > payloads.ATTACHMENT_BYTES:
        raise errors.ApiError(413, 40005, "Request entity too large")
    number = name.removeprefix("files[").removesuffix("]")
    kinds = {"txt": "text/plain", "csv": "text/csv", "json": "application/json", "png": "image/png"}
    kind = kinds.get(filename.rpartition(".")[2].lower(), "application/octet-stream")
    return Upload(number=int(number) if number.isdecimal() else 0, filename=filename, content_type=kind, data=data)


def _parse(text: str) -> Any:  # noqa: ANN401 — JSON is whatever was sent
    try:
        return json.loads(text)
    except ValueError:
        raise errors.invalid_json() from None


class Drafts:
    """Converts request bodies into drafts that keep Discord's limits."""

    def __init__(self, state: State) -> None:
        """Files get addresses below `base_url`, which the server sets as soon as it knows its port."""
        self._state = state
        self.base_url = ""

    def new(self, channel_id: int, fields: Json, files: tuple[Upload, ...]) -> Draft:
        """Read a new message; an empty one is refused."""
        draft = self._draft(channel_id, fields, files, kept=[])
        limits.check_not_empty(draft)
        return draft

    def change(self, message: Message, fields: Json, files: tuple[Upload, ...]) -> Draft:
        """Read an edit; a null field is emptied, a missing one is unchanged."""
        draft = self._draft(message.channel_id, fields, files, kept=message.attachments)
        for key, empty in (("content", ""), ("embeds", []), ("components", []), ("attachments", [])):
            if key in fields and fields[key] is None:
                setattr(draft, key, empty)
        limits.check_not_empty(draft, message)
        return draft

    def any(self, channel_id: int, fields: Json, files: tuple[Upload, ...]) -> Draft:
        """Read the body of a response that need not show anything, such as a deferral."""
        return self._draft(channel_id, fields, files, kept=[])

    def _draft(self, channel_id: int, fields: Json, files: tuple[Upload, ...], *, kept: list[Attachment]) -> Draft:
        limits.check_message(fields, files=len(files))
        return Draft(
            content=fields.get("content"),
            embeds=fields.get("embeds"),
            components=fields.get("components"),
            attachments=self._attachments(channel_id, fields, files, kept),
            allowed_mentions=fields.get("allowed_mentions"),
            flags=fields.get("flags") or 0,
            tts=bool(fields.get("tts")),
            nonce=fields.get("nonce"),
            enforce_nonce=bool(fields.get("enforce_nonce")) and fields.get("nonce") is not None,
            reference_id=self._reference(channel_id, fields.get("message_reference")),
        )

    def _reference(self, channel_id: int, reference: Json | None) -> int | None:
        if reference is None:
            return None
        message_id = int(reference.get("message_id") or 0)
        referred = self._state.messages.get(message_id)
        if referred is not None and referred.channel_id == channel_id and not referred.deleted:
            return message_id
        if reference.get("fail_if_not_exists", True):
            fault = {"code": "REPLIES_UNKNOWN_MESSAGE", "message": "Unknown message"}
            raise errors.invalid_form({"message_reference": {"_errors": [fault]}})
        return None

    def _attachments(
        self, channel_id: int, fields: Json, files: tuple[Upload, ...], kept: list[Attachment]
    ) -> list[Attachment] | None:
        listed = fields.get("attachments")
        if listed is None and not files:
            return None
        described = {str(each.get("id")): each for each in listed or []}
        stays = [each for each in kept if listed is None or str(each.id) in described]
        return stays + [self._store(channel_id, file, described.get(str(file.number), {})) for file in files]

    def _store(self, channel_id: int, file: Upload, described: Json) -> Attachment:
        attachment_id = self._state.new_id()
        filename = (described.get("filename") or file.filename).replace("/", "_")
        return Attachment(
            id=attachment_id,
            filename=filename,
            content_type=file.content_type,
            data=file.data,
            url=f"{self.base_url}/attachments/{channel_id}/{attachment_id}/{filename}",
            description=described.get("description"),
        )
