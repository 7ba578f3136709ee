"""Images to event frames: the I2E algorithm (arXiv 2511.08065)."""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.conversion import gap as gap
    from i2e_deploy.conversion.energy import FirstLayerEnergy as FirstLayerEnergy
    from i2e_deploy.conversion.energy import first_layer_energy as first_layer_energy
    from i2e_deploy.conversion.engine import convert as convert
    from i2e_deploy.conversion.reference import i2e_reference as i2e_reference
    from i2e_deploy.conversion.sensor import PRESETS as PRESETS
    from i2e_deploy.conversion.sensor import Sensor as Sensor
    from i2e_deploy.conversion.sensor import make_pixels as make_pixels
    from i2e_deploy.conversion.sensor import simulate as simulate
    from i2e_deploy.conversion.stream import Spread as Spread
    from i2e_deploy.conversion.stream import events_to_frames as events_to_frames
    from i2e_deploy.conversion.stream import frames_to_events as frames_to_events
    from i2e_deploy.conversion.threshold import RATIO as RATIO
    from i2e_deploy.conversion.threshold import as_ratio as as_ratio
    from i2e_deploy.conversion.torch_i2e import I2E as I2E
    from i2e_deploy.conversion.torch_i2e import i2e_torch as i2e_torch
    from i2e_deploy.conversion.vectors import Saccade as Saccade
    from i2e_deploy.conversion.vectors import saccades as saccades
    from i2e_deploy.conversion.video import read_video as read_video
    from i2e_deploy.conversion.video import timed_video_to_events as timed_video_to_events
    from i2e_deploy.conversion.video import video_rate as video_rate
    from i2e_deploy.conversion.video import video_to_events as video_to_events
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "": "gap",
            "energy": "FirstLayerEnergy first_layer_energy",
            "engine": "convert",
            "reference": "i2e_reference",
            "sensor": "PRESETS Sensor make_pixels simulate",
            "stream": "Spread events_to_frames frames_to_events",
            "threshold": "RATIO as_ratio",
            "torch_i2e": "I2E i2e_torch",
            "vectors": "Saccade saccades",
            "video": "read_video timed_video_to_events video_rate video_to_events",
        },
    )
