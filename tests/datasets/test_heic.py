"""Pictures of phones: read where the extra `heic` is installed."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from i2e_deploy.datasets.picture import Resize, decode_picture, endings, picture_size
from i2e_deploy.datasets.sources import open_source
from i2e_deploy.errors import FileFormatError

pytest.importorskip("PIL")
pytest.importorskip("pi_heif")

#: 64 x 48 pixels, made by pillow-heif: red at the top left, blue at the bottom right, else black.
PICTURE = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAA"
    "AAAERAAAEAAQAAAAABoQABAAAAAAAAASwAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/WlwcnAA"
    "AADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkA"
    "AAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAA"
    "AAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAABhpcG1hAAAAAAAAAAEAAQWBAgMFhAAAAT"
    "RtZGF0AAABKCgBrwT4QTGZv/av///zFR2X5iqFtxtLTsceB+6EYl6rr//W4jebxv/voURwNJ+afRamCxTH/Tu+qyBnYchn6NxdpntZ0NAcMyXt"
    "c6p//JVGrxWBQZtf5blBcj5qFnm8Mb9bkDjGEhSWwNTzrgTr8f6DgEbsCV/+wev+4jrC38KfsPpun/F6AZN5+vw+DBeUwC9bgX/07ckH94o35S"
    "uplbt1p2GKkWhG+H/G/F/3yjdLydLeLhJk/h/xvxf98nnQJCfAJ4xHVBLds3pHm3PmFrvS0FmiDz+p1k8+sCMB8LqczBUTVrHTW9FN2JwcJDo9"
    "ETbLvxzvnxlTbFVANBccnAg8G2I/vho9nYxB9sjs3XBkYFBYdtVum8iIjKKfojcFxQkdYhdJU9/A"
)


def test_a_heic_picture_is_read(tmp_path: Path) -> None:
    expected = np.zeros((48, 64, 3), int)
    expected[:24, :32], expected[24:, 32:] = (200, 30, 30), (30, 30, 200)
    pixels = decode_picture(PICTURE, Resize())
    assert picture_size(PICTURE) == (64, 48)
    assert np.abs(pixels - expected).max() <= 2
    (tmp_path / "a.HEIC").write_bytes(PICTURE)
    source = open_source(str(tmp_path))
    assert (source.names(), source.left_out()) == (["a.HEIC"], {})
    assert ".heic" in endings()


@pytest.mark.parametrize("length", [0, 11, 40, 200, 500, 716])
def test_a_cut_one_is_refused_in_a_line(length: int) -> None:
    with pytest.raises(FileFormatError, match=r"^photo: is not a whole picture") as caught:
        decode_picture(PICTURE[:length], Resize(), "photo")
    assert "\n" not in str(caught.value)
