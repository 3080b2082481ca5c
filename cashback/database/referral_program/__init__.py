"""The referral programme: people, who referred whom, what they bought, and what of it is pending."""
