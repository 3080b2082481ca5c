"""What shops hand in: export files, recognised by their header, and deliveries, as purchases and refunds."""
