"""Run programs on targets, evaluate them on data, compare runs."""

from i2e_deploy.runtime.compare import Difference as Difference
from i2e_deploy.runtime.compare import compare as compare
from i2e_deploy.runtime.evaluate import Evaluation as Evaluation
from i2e_deploy.runtime.evaluate import evaluate as evaluate
