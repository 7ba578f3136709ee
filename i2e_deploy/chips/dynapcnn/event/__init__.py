"""The event semantics, the asynchronous chip: its definition, the fast engine, orders and bounds."""
