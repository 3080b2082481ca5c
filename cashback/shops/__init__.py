"""What shops hand in: export files, recognised by their header and turned into purchases and refunds."""
