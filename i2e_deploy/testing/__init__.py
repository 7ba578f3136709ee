"""For the CI of those who deploy: bundles as pytest tests."""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.testing import plugin as plugin
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "": "plugin",
        },
    )
