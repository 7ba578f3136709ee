"""Events: one after the other, as the asynchronous chip takes them."""
