"""Data sets for the trainer: pictures, shards, recordings, frames, and data sets of other libraries."""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.training.data.augmentation import Augmentation as Augmentation
    from i2e_deploy.training.data.opening import open_data as open_data
    from i2e_deploy.training.data.options import DataOptions as DataOptions
    from i2e_deploy.training.data.workers import made_by as made_by
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {"augmentation": "Augmentation", "opening": "open_data", "options": "DataOptions", "workers": "made_by"},
    )
