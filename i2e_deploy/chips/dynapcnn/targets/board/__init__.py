"""The chip itself as a target, through samna: `run` a program on what the host sends, `camera` on what the chip sees.

`link` opens a board, `session` resets it and streams, `calls` tells a call that hangs. `fake` is a board without a
board, for tests. We had no board: unverified on silicon.
"""

from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions as BoardOptions
