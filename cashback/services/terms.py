"""The limits of a batch and the terms in force, from the settings."""

from cashback.domain.model import BatchLimits
from cashback.domain.money import dollars
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


def terms_line(settings: ReferralSettings) -> str:
    """Return the terms in force in one line: percentage, holding period, minimum payout, weekly batch."""
    percent = f"{settings.cashback_percent.normalize():f} % of each purchase"
    minimum = f"minimum payout {dollars(settings.min_payout_cents)}"
    return f"{percent}, {held_text(settings)}, {minimum}, {weekly_text(settings)}"


def held_text(settings: ReferralSettings) -> str:
    """Return when cashback is payable."""
    days = settings.holding_days
    return f"payable after {days} {'day' if days == 1 else 'days'}" if days else "payable at once"


def weekly_text(settings: ReferralSettings) -> str:
    """Return when the weekly batch runs."""
    at = f"{settings.batch_hour_utc:02}:{settings.batch_minute_utc:02}"
    return f"every {settings.batch_day.capitalize()} at {at} UTC" if settings.auto_batch_enabled else "no weekly batch"
