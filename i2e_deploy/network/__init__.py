"""The float network, neutral between chips: plain records, importers and exporters, its file (`read`, `write`)."""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.network.convolution import Conv1d as Conv1d
    from i2e_deploy.network.convolution import Conv2d as Conv2d
    from i2e_deploy.network.delay import Delay as Delay
    from i2e_deploy.network.file import read as read
    from i2e_deploy.network.file import read_notes as read_notes
    from i2e_deploy.network.file import write as write
    from i2e_deploy.network.graph import INPUT as INPUT
    from i2e_deploy.network.graph import Layer as Layer
    from i2e_deploy.network.graph import Network as Network
    from i2e_deploy.network.graph import Note as Note
    from i2e_deploy.network.graph import chain as chain
    from i2e_deploy.network.layers import Add as Add
    from i2e_deploy.network.layers import Concat as Concat
    from i2e_deploy.network.layers import Flatten as Flatten
    from i2e_deploy.network.layers import Linear as Linear
    from i2e_deploy.network.layers import Reshape as Reshape
    from i2e_deploy.network.layers import Scale as Scale
    from i2e_deploy.network.ms_resnet import from_ms_resnet as from_ms_resnet
    from i2e_deploy.network.neurons import IntegrateAndFire as IntegrateAndFire
    from i2e_deploy.network.neurons import LeakyIntegrateAndFire as LeakyIntegrateAndFire
    from i2e_deploy.network.neurons import LeakyReset as LeakyReset
    from i2e_deploy.network.neurons import ResetMode as ResetMode
    from i2e_deploy.network.nir.choices import nir_readings as nir_readings
    from i2e_deploy.network.nir.data_write import write_nir_data as write_nir_data
    from i2e_deploy.network.nir.frameworks import judge_nir_with as judge_nir_with
    from i2e_deploy.network.nir.judge import judge_nir as judge_nir
    from i2e_deploy.network.nir.read import read_nir as read_nir
    from i2e_deploy.network.nir.write import write_nir as write_nir
    from i2e_deploy.network.norse.read import from_norse as from_norse
    from i2e_deploy.network.op import Op as Op
    from i2e_deploy.network.pooling import MaxPool2d as MaxPool2d
    from i2e_deploy.network.pooling import Pool2d as Pool2d
    from i2e_deploy.network.pooling import Pooling as Pooling
    from i2e_deploy.network.rockpool.read import from_rockpool as from_rockpool
    from i2e_deploy.network.run import FloatTrace as FloatTrace
    from i2e_deploy.network.sensor import Sensor as Sensor
    from i2e_deploy.network.sinabs.export import to_sinabs as to_sinabs
    from i2e_deploy.network.sinabs.read import from_sinabs as from_sinabs
    from i2e_deploy.network.snntorch.read import from_snntorch as from_snntorch
    from i2e_deploy.network.spikingjelly.read import from_spikingjelly as from_spikingjelly
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "file": "read read_notes write",
            "graph": "INPUT Layer Network Note chain",
            "convolution": "Conv1d Conv2d",
            "delay": "Delay",
            "layers": "Add Concat Flatten Linear Reshape Scale",
            "ms_resnet": "from_ms_resnet",
            "neurons": "IntegrateAndFire LeakyIntegrateAndFire LeakyReset ResetMode",
            "pooling": "MaxPool2d Pool2d Pooling",
            "nir.choices": "nir_readings",
            "nir.data_write": "write_nir_data",
            "nir.frameworks": "judge_nir_with",
            "nir.judge": "judge_nir",
            "nir.read": "read_nir",
            "nir.write": "write_nir",
            "norse.read": "from_norse",
            "op": "Op",
            "rockpool.read": "from_rockpool",
            "run": "FloatTrace",
            "sensor": "Sensor",
            "sinabs.export": "to_sinabs",
            "sinabs.read": "from_sinabs",
            "snntorch.read": "from_snntorch",
            "spikingjelly.read": "from_spikingjelly",
        },
    )
