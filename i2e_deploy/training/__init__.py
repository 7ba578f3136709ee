"""Training of spiking networks on event frames: by backpropagation through time, and through the chip's own events."""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.training import bptt as bptt
    from i2e_deploy.training import data as data
    from i2e_deploy.training import slayer as slayer
    from i2e_deploy.training.asynchronous import FinetuneConfig as FinetuneConfig
    from i2e_deploy.training.asynchronous import event_counts as event_counts
    from i2e_deploy.training.asynchronous import finetune as finetune
    from i2e_deploy.training.augment import Deformation as Deformation
    from i2e_deploy.training.augment import deform as deform
    from i2e_deploy.training.digit_data import digit_sets as digit_sets
    from i2e_deploy.training.digits import build_digit_network as build_digit_network
    from i2e_deploy.training.fused_iaf import FusedIAF as FusedIAF
    from i2e_deploy.training.loop import EpochResult as EpochResult
    from i2e_deploy.training.loop import SpikeCounts as SpikeCounts
    from i2e_deploy.training.loop import TrainConfig as TrainConfig
    from i2e_deploy.training.loop import accuracy_of as accuracy_of
    from i2e_deploy.training.loop import train as train
    from i2e_deploy.training.recipes import Recipe as Recipe
    from i2e_deploy.training.recipes import read_trained as read_trained
    from i2e_deploy.training.recipes import recipe_of as recipe_of
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
            "asynchronous": "FinetuneConfig event_counts finetune",
            "augment": "Deformation deform",
            "digit_data": "digit_sets",
            "digits": "build_digit_network",
            "fused_iaf": "FusedIAF",
            "loop": "EpochResult SpikeCounts TrainConfig accuracy_of train",
            "recipes": "Recipe read_trained recipe_of",
            "sized": "Offer recipes_for sized_network",
            "slayer": "SlayerNetwork Timing",
            "slayer_networks": "CubaNeurons RECIPES SlayerConfig SlayerKind build_slayer",
        },
    )
