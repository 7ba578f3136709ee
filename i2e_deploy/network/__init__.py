"""The float network, neutral between chips: layer records, graph, importers, file format."""

from i2e_deploy.network.graph import INPUT as INPUT
from i2e_deploy.network.graph import Layer as Layer
from i2e_deploy.network.graph import Network as Network
from i2e_deploy.network.graph import chain as chain
from i2e_deploy.network.layers import Add as Add
from i2e_deploy.network.layers import Conv2d as Conv2d
from i2e_deploy.network.layers import Flatten as Flatten
from i2e_deploy.network.layers import IntegrateAndFire as IntegrateAndFire
from i2e_deploy.network.layers import Linear as Linear
from i2e_deploy.network.layers import Op as Op
from i2e_deploy.network.layers import Pool2d as Pool2d
from i2e_deploy.network.sinabs_import import from_sinabs as from_sinabs
