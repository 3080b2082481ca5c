"""The referral program: people, referrals, purchases, and pending cashback."""
