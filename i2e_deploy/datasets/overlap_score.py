"""Which picture explains a recording best, how the eye moved, and whether the best is the picture itself."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.datasets.overlap_maps import Maps, shifted

#: Best pictures of a recording that are looked at.
BEST = 50
#: Recordings that the motion is estimated on, and step of the search in pixels of the grid.
TRUSTED, STEP = 100, 0.5
#: How far the eye is looked for from the middle, as a share of the longer side.
REACH = 0.11
#: Recordings that are compared at a time.
CHUNK = 64


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best pictures of each recording.

    Args:
        pictures: int64 [N, k], numbers of pictures, the best first.
        scores: float64 [N, k], share of the recording that each explains, 0 to 1.
        lead: float64 [N], see `lead_of`; and of the second best where the best is left out: what a picture that is not
            the one shown reaches (`decoy`).
    """

    pictures: NDArray[np.int64]
    scores: NDArray[np.float64]
    lead: NDArray[np.float64]
    decoy: NDArray[np.float64]


def rank(recordings: Maps, gradients: Maps, motion: NDArray[np.float64]) -> Ranking:
    """Compare every recording with every picture.

    Args:
        recordings: float32 [N, K, h, w], see `overlap_maps.recording_maps`.
        gradients: float32 [M, 2, h, w], see `overlap_maps.picture_gradients`.
        motion: float64 [K, 2], pixels down and right by which each slice is moved back.
    """
    first, second = _bases(gradients)
    keep = min(BEST + 1, len(gradients))
    pictures, scores = np.empty((len(recordings), keep), np.int64), np.empty((len(recordings), keep))
    for start in range(0, len(recordings), CHUNK):
        found = _explained(recordings[start : start + CHUNK], first, second, motion)
        best = np.argpartition(-found, keep - 1, axis=1)[:, :keep]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(found, best, 1), axis=1, kind="stable"), 1)
        pictures[start : start + CHUNK], scores[start : start + CHUNK] = best, np.take_along_axis(found, best, 1)
    lead = np.array([lead_of(p, s, gradients) for p, s in zip(pictures, scores, strict=True)])
    decoy = np.array([lead_of(p[1:], s[1:], gradients) for p, s in zip(pictures, scores, strict=True)])
    return Ranking(pictures, scores, lead, decoy)


def lead_of(pictures: NDArray[np.int64], scores: NDArray[np.float64], gradients: Maps) -> float:
    """How far the best picture leads, as a share of how far it would lead if it were the one that was shown.

    If picture j was shown, another picture i explains of the recording what it explains of j: the share c_ij^2, where
    c_ij is the cosine of their gradients. So (s_j - s_i) / (s_j (1 - c_ij^2)) is about 1 for every i. If none of the
    pictures was shown, some other one comes nearly as close as the best, and the least of these ratios is about 0.

    Args:
        pictures: int64 [k], the best first.
        scores: [k], what they explain.
        gradients: [M, 2, h, w].

    Returns:
        the least ratio, 0 where there is no other picture or nothing is explained.
    """
    if len(pictures) < 2 or scores[0] <= 0:
        return 0.0
    flat = gradients[pictures].reshape(len(pictures), -1).astype(np.float64)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    apart = 1 - (flat[1:] @ flat[0]) ** 2
    return float(((scores[0] - scores[1:]) / (scores[0] * np.maximum(apart, 1e-6))).min())


def estimate_motion(recordings: Maps, gradients: Maps, ranking: Ranking) -> NDArray[np.float64]:
    """By how much each slice is moved back so that the recordings fit their best pictures: float64 [K, 2].

    All recordings were made with the same motion; those whose best picture leads furthest are used.
    """
    used = np.argsort(-ranking.lead, kind="stable")[:TRUSTED]
    pairs = gradients[ranking.pictures[used, 0]]
    first, second = _bases(pairs)
    reach = ceil(REACH * max(recordings.shape[-2:]))
    motion = np.zeros((recordings.shape[1], 2))
    for k in range(recordings.shape[1]):
        maps = recordings[used, k]
        for around, width, step in ((0, reach, 2 * STEP), (motion[k], STEP, STEP)):
            steps = np.arange(-width, width + step / 2, step)
            places = [(down, right) for down in steps for right in steps] + np.asarray(around)
            shares = [_share(shifted(maps, down, right), first, second) for down, right in places]
            motion[k] = places[int(np.argmax(shares))]
    return motion


def _share(maps: Maps, first: Maps, second: Maps) -> float:
    """Mean share of the maps [N, h, w] that the bases [N, h * w] of their pictures explain."""
    flat = maps.reshape(len(maps), -1)
    power = np.maximum((flat * flat).sum(axis=1), 1e-12)
    return float((((flat * first).sum(axis=1) ** 2 + (flat * second).sum(axis=1) ** 2) / power).mean())


def _bases(gradients: Maps) -> tuple[Maps, Maps]:
    """Two orthonormal maps [M, h * w] a picture that span its gradients."""
    right, down = (gradients[:, i].reshape(len(gradients), -1) for i in (0, 1))
    first = right / np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-12)
    rest = down - (down * first).sum(axis=1, keepdims=True) * first
    return first, rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-12)


def _explained(recordings: Maps, first: Maps, second: Maps, motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the power of each recording that lies in the span of each picture's gradients: [N, M]."""
    found = np.zeros((len(recordings), len(first)), np.float64)
    power = np.zeros(len(recordings))
    for k, (down, right) in enumerate(motion):
        moved = shifted(recordings[:, k], down, right).reshape(len(recordings), -1)
        found += (moved @ first.T) ** 2 + (moved @ second.T) ** 2
        power += (moved * moved).sum(axis=1)
    shares: NDArray[np.float64] = found / np.maximum(power, 1e-12)[:, None]
    return shares
