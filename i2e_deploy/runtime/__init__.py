"""Run programs on targets, evaluate them on data, compare runs; the live loop."""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.runtime.agreement import Agreement as Agreement
    from i2e_deploy.runtime.backlog import Policy as Policy
    from i2e_deploy.runtime.beside import BesideChip as BesideChip
    from i2e_deploy.runtime.beside import beside_chip as beside_chip
    from i2e_deploy.runtime.comparison import Difference as Difference
    from i2e_deploy.runtime.comparison import EventDifference as EventDifference
    from i2e_deploy.runtime.comparison import compare as compare
    from i2e_deploy.runtime.comparison import compare_events as compare_events
    from i2e_deploy.runtime.decider import Decision as Decision
    from i2e_deploy.runtime.decider import LiveSpec as LiveSpec
    from i2e_deploy.runtime.decider import StateMode as StateMode
    from i2e_deploy.runtime.eval_data import Samples as Samples
    from i2e_deploy.runtime.eval_data import read_samples as read_samples
    from i2e_deploy.runtime.evaluation import Evaluation as Evaluation
    from i2e_deploy.runtime.evaluation import TargetResult as TargetResult
    from i2e_deploy.runtime.evaluator import evaluate as evaluate
    from i2e_deploy.runtime.interval import wilson as wilson
    from i2e_deploy.runtime.live import Live as Live
    from i2e_deploy.runtime.live_on_chip import ChipLive as ChipLive
    from i2e_deploy.runtime.live_on_chip import chip_spec as chip_spec
    from i2e_deploy.runtime.neurobench import Deployed as Deployed
    from i2e_deploy.runtime.neurobench import Trained as Trained
    from i2e_deploy.runtime.neurobench import neurobench_figures as neurobench_figures
    from i2e_deploy.runtime.neurobench_harness import neurobench_model as neurobench_model
    from i2e_deploy.runtime.neurobench_results import neurobench_report as neurobench_report
    from i2e_deploy.runtime.recording import Recorder as Recorder
    from i2e_deploy.runtime.recording import read_session as read_session
    from i2e_deploy.runtime.records import RecordReplay as RecordReplay
    from i2e_deploy.runtime.records import replay_record as replay_record
    from i2e_deploy.runtime.replaying import Replay as Replay
    from i2e_deploy.runtime.replaying import replay as replay
    from i2e_deploy.runtime.replaying import session_header as session_header
    from i2e_deploy.runtime.replaying import session_windows as session_windows
    from i2e_deploy.runtime.scene import evaluate_scene as evaluate_scene
    from i2e_deploy.runtime.scene import is_scene as is_scene
    from i2e_deploy.runtime.spread import Spread as Spread
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "agreement": "Agreement",
            "backlog": "Policy",
            "beside": "BesideChip beside_chip",
            "comparison": "Difference EventDifference compare compare_events",
            "decider": "Decision LiveSpec StateMode",
            "eval_data": "Samples read_samples",
            "evaluation": "Evaluation TargetResult",
            "evaluator": "evaluate",
            "spread": "Spread",
            "interval": "wilson",
            "live": "Live",
            "live_on_chip": "ChipLive chip_spec",
            "neurobench": "Deployed Trained neurobench_figures",
            "neurobench_harness": "neurobench_model",
            "neurobench_results": "neurobench_report",
            "recording": "Recorder read_session",
            "records": "RecordReplay replay_record",
            "replaying": "Replay replay session_header session_windows",
            "scene": "evaluate_scene is_scene",
        },
    )
