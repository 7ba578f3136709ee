"""The float network, neutral between chips: plain records, importers and exporters, its file."""

from typing import Any

from i2e_deploy.moved import find
from i2e_deploy.network.file import read_network as read  # noqa: F401
from i2e_deploy.network.file import write_network as write  # noqa: F401
from i2e_deploy.network.graph import INPUT as INPUT
from i2e_deploy.network.graph import Layer as Layer
from i2e_deploy.network.graph import Network as Network
from i2e_deploy.network.graph import chain as chain
from i2e_deploy.network.layers import Add as Add
from i2e_deploy.network.layers import Conv2d as Conv2d
from i2e_deploy.network.layers import Flatten as Flatten
from i2e_deploy.network.layers import IntegrateAndFire as IntegrateAndFire
from i2e_deploy.network.layers import Linear as Linear
from i2e_deploy.network.layers import Pool2d as Pool2d
from i2e_deploy.network.nir_read import read_nir as read_nir
from i2e_deploy.network.nir_write import write_nir as write_nir
from i2e_deploy.network.op import Op as Op
from i2e_deploy.network.sensor import Sensor as Sensor
from i2e_deploy.network.sinabs_export import to_sinabs as to_sinabs
from i2e_deploy.network.sinabs_import import from_sinabs as from_sinabs


def __getattr__(name: str) -> Any:
    return find(__name__, name)
