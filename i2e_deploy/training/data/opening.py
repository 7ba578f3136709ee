"""Any data set as training data: what is at a path is looked at, and the sources are tried by what is there."""

from __future__ import annotations

from pathlib import Path

from i2e_deploy.errors import InputError
from i2e_deploy.training.data.options import DataOptions
from i2e_deploy.training.samples import TrainingData


def open_data(data: str | Path, options: DataOptions | None = None) -> TrainingData:
    """Both parts of a data set, ready for `training.fit`.

    Args:
        data: a folder tree, `.zip`, `.tar` or Parquet file of pictures: `[train|test/]<class>/<name>`.
        options: what is to be said about them; what is not is chosen, and `TrainingData.notes` says how.

    Raises:
        InputError: nothing there, or what is there cannot be told or split.
        FileFormatError: a damaged file.
        MissingDependency: a package that reads such files is not installed.
    """
    from i2e_deploy.training.data.pictures import open_pictures

    options = options or DataOptions()
    if not Path(data).exists():
        raise InputError(f"{data}: no such file or folder: give pictures in folders by class, or an archive of them")
    return open_pictures(data, options)
