"""Training of spiking networks on event frames: by backpropagation through time, and through the chip's own events."""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.training import bptt as bptt
    from i2e_deploy.training import data as data
    from i2e_deploy.training import slayer as slayer
    from i2e_deploy.training.arrays import FrameSamples as FrameSamples
    from i2e_deploy.training.arrays import data_of as data_of
    from i2e_deploy.training.augment import Deformation as Deformation
    from i2e_deploy.training.augment import deform as deform
    from i2e_deploy.training.checkpoint import load_weights as load_weights
    from i2e_deploy.training.checkpoint import read_history as read_history
    from i2e_deploy.training.config import FitConfig as FitConfig
    from i2e_deploy.training.devices import Devices as Devices
    from i2e_deploy.training.devices import open_devices as open_devices
    from i2e_deploy.training.digit_data import GreyPictures as GreyPictures
    from i2e_deploy.training.digit_data import digit_sets as digit_sets
    from i2e_deploy.training.digit_data import digits_as_data as digits_as_data
    from i2e_deploy.training.digits import build_digit_network as build_digit_network
    from i2e_deploy.training.frameworks import running_of as running_of
    from i2e_deploy.training.fused_iaf import FusedIAF as FusedIAF
    from i2e_deploy.training.judging import Judgement as Judgement
    from i2e_deploy.training.loop import fit as fit
    from i2e_deploy.training.loop import on_all as on_all
    from i2e_deploy.training.losses import Loss as Loss
    from i2e_deploy.training.mixing import Mixing as Mixing
    from i2e_deploy.training.optimising import Optimising as Optimising
    from i2e_deploy.training.recipes import Recipe as Recipe
    from i2e_deploy.training.recipes import read_trained as read_trained
    from i2e_deploy.training.recipes import recipe_of as recipe_of
    from i2e_deploy.training.results import EpochResult as EpochResult
    from i2e_deploy.training.running import Running as Running
    from i2e_deploy.training.samples import Batch as Batch
    from i2e_deploy.training.samples import Samples as Samples
    from i2e_deploy.training.samples import TrainingData as TrainingData
    from i2e_deploy.training.sized import Offer as Offer
    from i2e_deploy.training.sized import recipes_for as recipes_for
    from i2e_deploy.training.sized import sized_network as sized_network
    from i2e_deploy.training.slayer import SlayerNetwork as SlayerNetwork
    from i2e_deploy.training.slayer import Timing as Timing
    from i2e_deploy.training.slayer_networks import RECIPES as RECIPES
    from i2e_deploy.training.slayer_networks import CubaNeurons as CubaNeurons
    from i2e_deploy.training.slayer_networks import SlayerConfig as SlayerConfig
    from i2e_deploy.training.slayer_networks import SlayerKind as SlayerKind
    from i2e_deploy.training.slayer_networks import build_slayer as build_slayer
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "": "bptt data slayer",
            "arrays": "FrameSamples data_of",
            "augment": "Deformation deform",
            "checkpoint": "load_weights read_history",
            "config": "FitConfig",
            "devices": "Devices open_devices",
            "digit_data": "GreyPictures digit_sets digits_as_data",
            "digits": "build_digit_network",
            "frameworks": "running_of",
            "fused_iaf": "FusedIAF",
            "judging": "Judgement",
            "loop": "fit on_all",
            "losses": "Loss",
            "mixing": "Mixing",
            "optimising": "Optimising",
            "recipes": "Recipe read_trained recipe_of",
            "results": "EpochResult",
            "running": "Running",
            "samples": "Batch Samples TrainingData",
            "sized": "Offer recipes_for sized_network",
            "slayer": "SlayerNetwork Timing",
            "slayer_networks": "CubaNeurons RECIPES SlayerConfig SlayerKind build_slayer",
        },
    )
