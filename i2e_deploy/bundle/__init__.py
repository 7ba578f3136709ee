"""Deployed networks on disk: `write`, `read`, `verify`."""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.bundle.bundle import Bundle as Bundle
    from i2e_deploy.bundle.bundle import Provenance as Provenance
    from i2e_deploy.bundle.bundle import check_target as check_target
    from i2e_deploy.bundle.bundle import read as read
    from i2e_deploy.bundle.bundle import write as write
    from i2e_deploy.bundle.evaluation import leave_evaluation as leave_evaluation
    from i2e_deploy.bundle.evaluation import read_evaluation as read_evaluation
    from i2e_deploy.bundle.golden import Golden as Golden
    from i2e_deploy.bundle.golden import make_golden as make_golden
    from i2e_deploy.bundle.job import evaluate_results as evaluate_results
    from i2e_deploy.bundle.job import write_job as write_job
    from i2e_deploy.bundle.verification import Verification as Verification
    from i2e_deploy.bundle.verification import verify as verify
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "bundle": "Bundle Provenance check_target read write",
            "evaluation": "leave_evaluation read_evaluation",
            "golden": "Golden make_golden",
            "job": "evaluate_results write_job",
            "verification": "Verification verify",
        },
    )
