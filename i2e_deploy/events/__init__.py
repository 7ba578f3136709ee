"""Events: the array, files (`read`, `write`, `open`), windows and frames, live sources."""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.events import sources as sources
    from i2e_deploy.events.array import EVENT_DTYPE as EVENT_DTYPE
    from i2e_deploy.events.array import Events as Events
    from i2e_deploy.events.array import check_events as check_events
    from i2e_deploy.events.array import empty_events as empty_events
    from i2e_deploy.events.files import Damage as Damage
    from i2e_deploy.events.files import EventReader as EventReader
    from i2e_deploy.events.files import Recording as Recording
    from i2e_deploy.events.files import open as open  # noqa: A004
    from i2e_deploy.events.files import read as read
    from i2e_deploy.events.files import write as write
    from i2e_deploy.events.frames import FrameSpec as FrameSpec
    from i2e_deploy.events.frames import frames_reference as frames_reference
    from i2e_deploy.events.frames import to_frames as to_frames
    from i2e_deploy.events.options import OnDamage as OnDamage
    from i2e_deploy.events.steps import count_events as count_events
    from i2e_deploy.events.stream import StreamSpec as StreamSpec
    from i2e_deploy.events.stream import Window as Window
    from i2e_deploy.events.stream import Windower as Windower
    from i2e_deploy.events.windows import by_count as by_count
    from i2e_deploy.events.windows import by_time as by_time
    from i2e_deploy.events.windows import into_steps as into_steps
    from i2e_deploy.events.windows import iter_windows as iter_windows
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "": "sources",
            "array": "EVENT_DTYPE Events check_events empty_events",
            "files": "Damage EventReader Recording open read write",
            "frames": "FrameSpec frames_reference to_frames",
            "options": "OnDamage",
            "steps": "count_events",
            "stream": "StreamSpec Window Windower",
            "windows": "by_count by_time into_steps iter_windows",
        },
    )
