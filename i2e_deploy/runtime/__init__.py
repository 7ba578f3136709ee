"""Run programs on targets, evaluate them on data, compare runs."""

from i2e_deploy.runtime.comparison import Difference as Difference
from i2e_deploy.runtime.comparison import compare as compare
from i2e_deploy.runtime.evaluation import Evaluation as Evaluation
from i2e_deploy.runtime.evaluation import evaluate as evaluate
