"""The buttons under messages. Each carries what it is about, so that it works after a restart too."""
