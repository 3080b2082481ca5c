"""Encrypts where a withdrawal goes to, with a key that stands in the environment and never in the ledger."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cashback.domain.errors import CashbackError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

VARIABLE = "CASHBACK_WITHDRAWAL_KEYS"
UNREADABLE = "(not readable: encrypted with another key)"


class Destinations:
    """Encrypts with the first key and decrypts with any: a new key is put before the old one."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    def encrypt(self, destination: str) -> str:
        """Return the encrypted text. Raises CashbackError if there is no valid key."""
        return self._cipher().encrypt(destination.encode()).decode()

    def decrypt(self, encrypted: str) -> str:
        """Return the destination; `UNREADABLE` instead if it was encrypted with another key."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 -- only withdrawals need the library

        cipher = self._cipher()
        try:
            return cipher.decrypt(encrypted.encode()).decode()
        except InvalidToken:
            return UNREADABLE

    def _cipher(self) -> "MultiFernet":
        try:
            from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415 -- as above
        except ModuleNotFoundError as error:
            raise CashbackError(
                "Destinations of withdrawals need the library cryptography; install it with"
                " pip install 'cashback[withdrawals]'."
            ) from error
        if not self._keys:
            raise CashbackError(
                f"{VARIABLE} is not set, so the destination cannot be encrypted or read; an operator must set it"
                " (docs/howto/withdrawals.md)."
            )
        try:
            return MultiFernet([Fernet(key) for key in self._keys])
        except ValueError as error:
            raise CashbackError(
                f"{VARIABLE} does not hold valid keys: each is 32 bytes in URL-safe base64 (docs/howto/withdrawals.md)."
            ) from error
