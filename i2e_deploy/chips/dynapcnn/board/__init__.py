"""The chip itself as a target, through samna: `run` a program, `session` on an open board, `link` opens one.

`fake` is a board without a board, for tests. No board was here: unverified on silicon.
"""

from i2e_deploy.chips.dynapcnn.board.options import BoardOptions as BoardOptions
