"""The errors that a person may see. Each carries one line: what is wrong, with what value, what to do."""


class CashbackError(RuntimeError):
    """Something is wrong that a person can mend."""

    def __init__(self, message: str | None = None) -> None:
        """Take `message`, or the first line of the class's own docstring."""
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


class ReferralRefusedError(CashbackError):
    """This referral cannot be made."""


class PurchaseRefusedError(CashbackError):
    """This purchase cannot be recorded."""


class RefundRefusedError(CashbackError):
    """This refund cannot be recorded."""


class NothingPendingError(CashbackError):
    """No cashback is pending."""


class BlacklistedError(CashbackError):
    """This member is blacklisted from referral cashback."""


class NotAllowedError(CashbackError):
    """Only an admin may do this."""


class StaleBatchError(CashbackError):
    """This batch is no longer in the state that the action needs."""


class SecondApproverError(NotAllowedError):
    """Another admin must approve this batch as well: neither who asked for it, nor somebody without a name."""


class StoppedError(StaleBatchError):
    """An admin has stopped this batch; nothing more of it is paid until one resumes it."""


class AlreadySettledError(StaleBatchError):
    """Another process has settled all of this batch; nothing of it is left to pay."""


class ChunkLockedError(CashbackError):
    """Another process has some of these payouts in hand; they are settled there, or stay planned if it dies."""


class LeaseLostError(CashbackError):
    """Another process has taken over; it pays what is left."""


class UnknownBatchError(CashbackError):
    """There is no such batch."""


class BusyError(CashbackError):
    """Too many batches are waiting; try again when one is done."""


class DatabaseUnavailableError(CashbackError):
    """The database cannot be used."""


class RolesUnknownError(CashbackError):
    """Discord cannot be asked for your roles just now; nothing was done. Try again in a minute."""
