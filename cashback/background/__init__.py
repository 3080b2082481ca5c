"""What only the paying process does: lease, recovery, outbox dispatcher and payout retries."""
