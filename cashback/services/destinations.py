"""Encrypts where a withdrawal goes to, with a key that stands in the environment and never in the ledger."""

from collections.abc import Sequence
from typing import Any

from cashback.domain.errors import CashbackError
from cashback.domain.extras import Library

VARIABLE = "CASHBACK_WITHDRAWAL_KEYS"


class AnotherKeyError(CashbackError):
    """The destination is encrypted with another key."""

    def __init__(self) -> None:
        super().__init__(f"The destination is encrypted with another key; put that key into {VARIABLE} too.")


class Destinations:
    """Encrypts with the first key and decrypts with any: a new key is put before the old one."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    def encrypt(self, destination: str) -> str:
        """Return the encrypted text. Raises CashbackError if there is no valid key."""
        return str(self._cipher().encrypt(destination.encode()).decode())

    def decrypt(self, encrypted: str) -> str:
        """Return the destination. Raises AnotherKeyError if none of the keys is its key."""
        cipher = self._cipher()
        invalid_token = Library.ENCRYPTION.load("cryptography.fernet").InvalidToken
        try:
            return str(cipher.decrypt(encrypted.encode()).decode())
        except invalid_token as error:
            raise AnotherKeyError from error

    def _cipher(self) -> Any:  # noqa: ANN401 -- the library may not be there to name its type
        fernet = Library.ENCRYPTION.load("cryptography.fernet")
        if not self._keys:
            raise CashbackError(
                f"{VARIABLE} is not set, so the destination cannot be encrypted or read; an operator must set it"
                " (docs/howto/withdrawals.md)."
            )
        try:
            return fernet.MultiFernet([fernet.Fernet(key) for key in self._keys])
        except ValueError as error:
            raise CashbackError(
                f"{VARIABLE} does not hold valid keys: each is 32 bytes in URL-safe base64 (docs/howto/withdrawals.md)."
            ) from error
