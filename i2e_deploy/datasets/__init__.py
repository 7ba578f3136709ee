"""Data sets: event recordings, pictures converted as they are read, and shards of converted pictures, at scale."""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.datasets.card import Card as Card
    from i2e_deploy.datasets.class_folders import find_recordings as find_recordings
    from i2e_deploy.datasets.executors import Executor as Executor
    from i2e_deploy.datasets.item import decode_item as decode_item
    from i2e_deploy.datasets.item import encode_item as encode_item
    from i2e_deploy.datasets.live_dataset import ImageDataset as ImageDataset
    from i2e_deploy.datasets.mnist5k import Digits as Digits
    from i2e_deploy.datasets.mnist5k import load_mnist5k as load_mnist5k
    from i2e_deploy.datasets.overlap import Overlap as Overlap
    from i2e_deploy.datasets.overlap import find_overlap as find_overlap
    from i2e_deploy.datasets.picture import Fit as Fit
    from i2e_deploy.datasets.picture import Resample as Resample
    from i2e_deploy.datasets.picture import Resize as Resize
    from i2e_deploy.datasets.picture import decode_picture as decode_picture
    from i2e_deploy.datasets.picture import resize as resize
    from i2e_deploy.datasets.plan import OnBroken as OnBroken
    from i2e_deploy.datasets.plan import Settings as Settings
    from i2e_deploy.datasets.recording_gap import compare_with_recordings as compare_with_recordings
    from i2e_deploy.datasets.recordings import FromTonic as FromTonic
    from i2e_deploy.datasets.recordings import RecordingFolder as RecordingFolder
    from i2e_deploy.datasets.recordings import from_tonic as from_tonic
    from i2e_deploy.datasets.recordings import read_recording as read_recording
    from i2e_deploy.datasets.recordings import to_tonic as to_tonic
    from i2e_deploy.datasets.scale import Progress as Progress
    from i2e_deploy.datasets.scale import convert_dataset as convert_dataset
    from i2e_deploy.datasets.shard_dataset import ShardDataset as ShardDataset
    from i2e_deploy.datasets.shard_dataset import ShardStream as ShardStream
    from i2e_deploy.datasets.sources import ImageSource as ImageSource
    from i2e_deploy.datasets.sources import open_source as open_source
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "card": "Card",
            "class_folders": "find_recordings",
            "executors": "Executor",
            "item": "decode_item encode_item",
            "live_dataset": "ImageDataset",
            "mnist5k": "Digits load_mnist5k",
            "overlap": "Overlap find_overlap",
            "picture": "Fit Resample Resize decode_picture resize",
            "plan": "OnBroken Settings",
            "recording_gap": "compare_with_recordings",
            "recordings": "FromTonic RecordingFolder from_tonic read_recording to_tonic",
            "scale": "Progress convert_dataset",
            "shard_dataset": "ShardDataset ShardStream",
            "sources": "ImageSource open_source",
        },
    )
