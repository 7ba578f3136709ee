"""The chips: `get("speck2f")` gives one; see `base` for what every chip is, `abilities` for what one may offer."""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.chips import abilities as abilities
    from i2e_deploy.chips import dynapcnn as dynapcnn
    from i2e_deploy.chips import loihi2 as loihi2
    from i2e_deploy.chips import truenorth as truenorth
    from i2e_deploy.chips.answers import Answer as Answer
    from i2e_deploy.chips.answers import BoardAnswers as BoardAnswers
    from i2e_deploy.chips.answers import Measured as Measured
    from i2e_deploy.chips.answers_file import read_answers as read_answers
    from i2e_deploy.chips.answers_file import write_answers as write_answers
    from i2e_deploy.chips.base import Chip as Chip
    from i2e_deploy.chips.base import Program as Program
    from i2e_deploy.chips.check import CheckReport as CheckReport
    from i2e_deploy.chips.check import Finding as Finding
    from i2e_deploy.chips.check import Severity as Severity
    from i2e_deploy.chips.check import Slot as Slot
    from i2e_deploy.chips.costs import CoreLoad as CoreLoad
    from i2e_deploy.chips.costs import Costs as Costs
    from i2e_deploy.chips.costs import Figure as Figure
    from i2e_deploy.chips.deciding import Deciding as Deciding
    from i2e_deploy.chips.deciding import parse_deciding as parse_deciding
    from i2e_deploy.chips.integers import AnyNetwork as AnyNetwork
    from i2e_deploy.chips.integers import IntegerNetwork as IntegerNetwork
    from i2e_deploy.chips.models import read_card as read_card
    from i2e_deploy.chips.models import read_model as read_model
    from i2e_deploy.chips.models import write_model as write_model
    from i2e_deploy.chips.options import PLAIN as PLAIN
    from i2e_deploy.chips.options import Engine as Engine
    from i2e_deploy.chips.options import Injection as Injection
    from i2e_deploy.chips.options import LowerOptions as LowerOptions
    from i2e_deploy.chips.options import Order as Order
    from i2e_deploy.chips.options import Semantics as Semantics
    from i2e_deploy.chips.options import Target as Target
    from i2e_deploy.chips.plans import Plan as Plan
    from i2e_deploy.chips.plans import PlannedLayer as PlannedLayer
    from i2e_deploy.chips.profile import Profile as Profile
    from i2e_deploy.chips.profile import load_profile as load_profile
    from i2e_deploy.chips.profile import profile_names as profile_names
    from i2e_deploy.chips.registry import chip_names as chip_names
    from i2e_deploy.chips.registry import get as get
    from i2e_deploy.chips.session import Session as Session
    from i2e_deploy.chips.trace import Integers as Integers
    from i2e_deploy.chips.trace import LayerCounts as LayerCounts
    from i2e_deploy.chips.trace import Power as Power
    from i2e_deploy.chips.trace import States as States
    from i2e_deploy.chips.trace import Trace as Trace
    from i2e_deploy.chips.values import Values as Values
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "": "abilities dynapcnn loihi2 truenorth",
            "answers": "Answer BoardAnswers Measured",
            "answers_file": "read_answers write_answers",
            "base": "Chip Program",
            "check": "CheckReport Finding Severity Slot",
            "costs": "CoreLoad Costs Figure",
            "deciding": "Deciding parse_deciding",
            "integers": "AnyNetwork IntegerNetwork",
            "models": "read_card read_model write_model",
            "options": "PLAIN Engine Injection LowerOptions Order Semantics Target",
            "plans": "Plan PlannedLayer",
            "profile": "Profile load_profile profile_names",
            "registry": "chip_names get",
            "session": "Session",
            "trace": "Integers LayerCounts Power States Trace",
            "values": "Values",
        },
    )
