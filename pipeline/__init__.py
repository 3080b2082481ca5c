"""The actor pipeline of a batch: messages, actors and the runner. Imports no stage, no SQL and no Discord."""
