"""Errors shown to people. Each has one line: what is wrong, with what value, what to do."""


class CashbackError(RuntimeError):
    """Something is wrong that a person can fix."""

    def __init__(self, message: str | None = None) -> None:
        """`message` defaults to the first line of the class's docstring."""
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


class ReferralRefusedError(CashbackError):
    """This referral cannot be made."""


class PurchaseRefusedError(CashbackError):
    """This purchase cannot be recorded."""


class RefundRefusedError(CashbackError):
    """This refund cannot be recorded."""


class UnknownOrderError(RefundRefusedError):
    """This order is not known yet."""


class NothingLeftError(RefundRefusedError):
    """Nothing is left to refund of this order."""


class OtherRefundError(RefundRefusedError):
    """This refund is known with another order or amount."""


class OrderRefusedError(CashbackError):
    """This order cannot be assigned or corrected."""


class ClaimsExhaustedError(CashbackError):
    """You have tried five times within a day; try again tomorrow, or ask an admin."""


class NothingPendingError(CashbackError):
    """No cashback is pending."""


class BlacklistedError(CashbackError):
    """This member is blacklisted from referral cashback."""


class NotAllowedError(CashbackError):
    """Only an admin may do this."""


class StaleBatchError(CashbackError):
    """This batch is no longer in the state that the action needs."""


class SecondApproverError(NotAllowedError):
    """A different admin must approve this batch: neither the one who asked for it, nor one without a name."""


class StoppedError(StaleBatchError):
    """An admin has stopped this batch; it pays nothing more until it is resumed."""


class AlreadySettledError(StaleBatchError):
    """Another process has settled all of this batch; nothing is left to pay."""


class ChunkLockedError(CashbackError):
    """Another process is working on some of these payouts; it settles them, or they stay planned if it dies."""


class LeaseLostError(CashbackError):
    """Another process has taken over; it pays what is left."""


class UnknownBatchError(CashbackError):
    """There is no such batch."""


class BusyError(CashbackError):
    """Too many batches are waiting; try again when one is done."""


class DatabaseUnavailableError(CashbackError):
    """The database cannot be used."""


class CurrencyError(CashbackError):
    """The ledger counts in another currency than the configuration says."""


class OlderLedgerError(DatabaseUnavailableError):
    """The ledger has the schema of an older version of this program."""


class RolesUnknownError(CashbackError):
    """Your roles cannot be read from Discord at the moment; nothing was done. Try again in a minute."""


class WithdrawalRefusedError(CashbackError):
    """This withdrawal cannot be made."""
