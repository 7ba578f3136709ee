"""Sources of live events, by URI.

A source is any object with `sensor_size`, `read` and `close` (see `Source`). A new one is a class or function that
takes a `SourceUri`, and an entry point in the group `i2e_deploy.sources` whose name is the URI's scheme.
"""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.events.sources.base import Source as Source
    from i2e_deploy.events.sources.base import SourceUri as SourceUri
    from i2e_deploy.events.sources.base import open_source as open_source
    from i2e_deploy.events.sources.base import source_schemes as source_schemes
    from i2e_deploy.events.sources.fake import FakeCamera as FakeCamera
    from i2e_deploy.events.sources.tcp import EventServer as EventServer
    from i2e_deploy.events.sources.udp import UdpSender as UdpSender
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "base": "Source SourceUri open_source source_schemes",
            "fake": "FakeCamera",
            "tcp": "EventServer",
            "udp": "UdpSender",
        },
    )
