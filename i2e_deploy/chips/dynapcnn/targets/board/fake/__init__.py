"""A Speck board without a board: it speaks samna's objects, computes with our `event` engine, and injects faults.

    with fake_samna(faults=Faults(lose_every=10)):
        trace = program.run_on("board", frames)

For tests, your own CI included: everything between a program and samna runs as it would with a board. Time is the
fake's own (`FakeClock`), so nothing waits. It does what public documentation says of samna and the boards, as
`session` lists it; that a board does the same was never seen by us.
"""

from i2e_deploy.chips.dynapcnn.targets.board.fake.character import Character as Character
from i2e_deploy.chips.dynapcnn.targets.board.fake.faults import Faults as Faults
from i2e_deploy.chips.dynapcnn.targets.board.fake.instruments import FakeClock as FakeClock
from i2e_deploy.chips.dynapcnn.targets.board.fake.samna import FakeSamna as FakeSamna
from i2e_deploy.chips.dynapcnn.targets.board.fake.samna import fake_samna as fake_samna
