"""Standard Webhooks: our own event types, signed as https://www.standardwebhooks.com lays down ("Signature scheme")."""

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from syncsvc.intake.dialects.base import Dialect, DialectOptions, Heard, Message, Photos
from syncsvc.intake.dialects.signed import LONGEST_ID, json_object, refuse
from syncsvc.intake.dialects.words import PhotoWords, change_of, mistake_in, open_with, told_by, words_by_kind
from syncsvc.model.errors import InputError

_KINDS = words_by_kind(PhotoWords)


class StandardOptions(DialectOptions):
    secrets: tuple[SecretStr, ...] = Field(min_length=1)


class _Envelope(BaseModel):
    """What is around the data. Senders add keys of their own here, and may."""

    model_config = ConfigDict(hide_input_in_errors=True)

    type: str
    timestamp: AwareDatetime | None = None
    data: dict[str, Any] = Field(repr=False)


class Speaker(Dialect[StandardOptions]):
    Options = StandardOptions

    def __init__(self, name: str, options: StandardOptions) -> None:
        super().__init__(name, options)
        self._keys = [Webhook(one.get_secret_value()) for one in options.secrets]

    def message_id(self, message: Message) -> str | None:
        return message.headers.get("webhook-id")

    def hear(self, message: Message, photos: Photos, now: datetime) -> Heard:  # noqa: ARG002 - the library has its own clock
        self._verify(message)
        id_ = message.headers["webhook-id"]
        if len(id_) > LONGEST_ID:
            raise InputError(f"webhook-id has more than {LONGEST_ID} characters", field="webhook-id")
        envelope = _envelope(message.body)
        shape = _KINDS.get(envelope.type)
        if shape is None:
            raise InputError(f"type: must be one of {', '.join(_KINDS)}", field="type")
        try:
            said = shape.model_validate(envelope.data)
        except ValidationError as error:
            raise mistake_in(error, "data") from None
        change = change_of(said, open_with(photos))
        return Heard(id_, (told_by(said, change, source=self.name, source_id=id_),))

    def _verify(self, message: Message) -> None:
        """One of the secrets must fit; the library holds the timestamp to five minutes."""
        for key in self._keys:
            try:
                key.verify(message.body, dict(message.headers), json_parse=False)
            except (WebhookVerificationError, ValueError):  # ValueError: a header or a body that cannot be read at all
                continue
            return
        refuse()


def _envelope(body: bytes) -> _Envelope:
    try:
        return _Envelope.model_validate(json_object(body))
    except ValidationError as error:
        raise mistake_in(error) from None
