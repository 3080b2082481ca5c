"""Two bots, wrong clocks, a ledger that dies and typed commands, all at the same time: a part of `make soak`."""
