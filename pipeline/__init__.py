"""The way of a batch: messages, ports, actors and the runner. Knows no stage, no SQL and no Discord."""
