"""The limits of a batch, from the settings."""

from cashback.domain.model import BatchLimits
from cashback.settings import ReferralSettings


def batch_limits_of(settings: ReferralSettings) -> BatchLimits:
    """Read from the settings the limits of a batch, and when it needs a second admin."""
    return BatchLimits(
        max_users=settings.max_users_per_batch,
        max_total_cents=settings.max_total_cents_per_batch,
        approval_threshold_cents=settings.approval_threshold_cents,
        approval_hours=settings.approval_hours,
        approval_valid_days=settings.approval_valid_days,
        gate_unusual=settings.gate_unusual,
        unusual_factor=settings.unusual_factor,
        unusual_share_percent=settings.unusual_share_percent,
        new_account_cents=settings.new_account_cents,
        new_account_days=settings.new_account_days,
        dates=settings.earning_dates,
    )
