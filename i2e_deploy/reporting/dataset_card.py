"""Metadata of a folder of Parquet shards: README.md for Hugging Face and croissant.json for everybody else.

Croissant 1.0 (http://mlcommons.org/croissant/1.0) is schema.org's Dataset with files and fields; `mlcroissant` reads
it. The folder is then a data set repository as it is: `hf upload USER/NAME FOLDER --repo-type dataset`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from i2e_deploy.datasets.scale import MANIFEST, read_manifest
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.files import replacing
from i2e_deploy.reporting.front_matter import cell, page, plain, table
from i2e_deploy.reporting.model_card import UNKNOWN, check_license

README, CROISSANT = "README.md", "croissant.json"
#: Words of Croissant 1.0 and of schema.org, as the specification has them.
CONTEXT: dict[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/", "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs", "column": "cr:column", "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
    "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject", "fileSet": "cr:fileSet", "format": "cr:format",
    "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key",
    "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip
#: Columns of a shard: what they hold and Croissant's type; of `data` the bytes are handed out as they are.
COLUMNS = {
    "file_path": ("sc:Text", "Name of the picture in its source."),
    "label": ("sc:Integer", "Number of the class, in the order of `label_names`."),
    "data": (
        "sc:Text",
        "Bytes of a .npy file of uint8: T, C, H, W as little-endian uint16, then the frames [T, C, H, W] as bits, "
        "channel 0 is ON. `i2e_deploy.datasets` unpacks it, with channel 0 OFF.",
    ),
}
CITATION = (
    "Ma, R., Meng, L., Qiao, G., Ning, N., Liu, Y., Hu, S. (2026). I2E: Real-Time Image-to-Event Conversion for "
    "High-Performance Spiking Neural Networks. AAAI 40(3), 1982-1990. https://doi.org/10.1609/aaai.v40i3.37179"
)


def is_shards(folder: Path) -> bool:
    """Whether `convert` wrote shards here: a manifest with a plan, and no bundle."""
    try:
        return bool(read_manifest(folder))
    except (InputError, FileFormatError):
        return False


def write_dataset_card(folder: Path | str, license: str = UNKNOWN) -> tuple[Path, Path]:  # noqa: A002
    """Write README.md and croissant.json into a complete folder of shards, and return their paths.

    Args:
        license: SPDX identifier in lower case, as Hugging Face has them, e.g. `cc-by-4.0`.

    Raises:
        InputError: the licence is no identifier, or there are no complete shards.
        FileFormatError: the manifest is damaged.
    """
    folder = Path(folder)
    check_license(license)
    manifest = read_manifest(folder)
    name = plain(folder.resolve().name)
    try:
        described = croissant(manifest, name, license)
        text = _card(manifest, name, license)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise FileFormatError(
            f"{folder / MANIFEST} does not hold what a card needs: {type(error).__name__} at {error}"
        ) from error
    written = {README: text, CROISSANT: json.dumps(described, indent=1, ensure_ascii=False) + "\n"}
    for file, content in written.items():
        with replacing(folder / file) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return folder / README, folder / CROISSANT


def croissant(manifest: Mapping[str, Any], name: str, license: str) -> dict[str, Any]:  # noqa: A002
    """The JSON-LD of a manifest: every shard with its checksum, and the fields of a record."""
    fields: list[dict[str, Any]] = [
        {
            "@type": "cr:Field", "@id": f"frames/{column}", "name": column, "description": text, "dataType": kind,
            "source": {"fileSet": {"@id": "shards"}, "extract": {"column": column}},
        }
        for column, (kind, text) in COLUMNS.items()
    ]  # fmt: skip
    shards = [
        {
            "@type": "cr:FileObject", "@id": plain(shard["file"]), "name": plain(shard["file"]),
            "contentUrl": plain(shard["file"]), "encodingFormat": "application/x-parquet",
            "sha256": plain(shard["sha256"]), "contentSize": f"{int(shard['bytes'])} B",
        }
        for shard in manifest["shards"]
    ]  # fmt: skip
    # Without `containedIn` the files lie beside this one, as mlcroissant reads it.
    files = {
        "@type": "cr:FileSet", "@id": "shards", "name": "shards", "encodingFormat": "application/x-parquet",
        "includes": "*.parquet",
    }  # fmt: skip
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": _about(manifest),
        "license": license,
        "citeAs": CITATION,
        "distribution": [*shards, files],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "frames", "name": "frames", "field": fields}],
    }


def _about(manifest: Mapping[str, Any]) -> str:
    settings, rows = manifest["plan"]["settings"], sum(int(shard["rows"]) for shard in manifest["shards"])
    size = settings["size"]
    return (
        f"{rows} pictures as event frames (I2E): {int(settings['steps'])} steps, polarities OFF and ON, "
        f"{'pictures as they are' if size is None else f'{int(size)} pixels'}, threshold ratio "
        f"{plain(settings['s_th0'])}, converted by i2e_deploy"
    )


def _card(manifest: Mapping[str, Any], name: str, license: str) -> str:  # noqa: A002
    rows = sum(int(shard["rows"]) for shard in manifest["shards"])
    kind = next((label for most, label in _SIZES if rows < most), "n>1T")
    metadata: dict[str, Any] = {
        "license": license,
        "pretty_name": name,
        "task_categories": ["image-classification"],
        "size_categories": [kind],
        "tags": ["neuromorphic", "event-camera", "i2e"],
        "configs": [{"config_name": "default", "data_files": _splits(manifest)}],
    }
    classes = manifest["plan"]["classes"]
    body = [
        f"# {cell(name)}",
        f"{cell(_about(manifest))}. `croissant.json` describes the files and fields.",
        table(("column", "what it holds"), [(column, text) for column, (_, text) in COLUMNS.items()]),
        f"## Classes\n\n{len(classes):,}: {cell(', '.join(map(str, classes[:100])))}"
        f"{' ...' if len(classes) > 100 else ''}"
        if classes
        else "## Classes\n\nThe pictures have none.",
        '## Read it\n\n```python\nimport i2e_deploy as i2e\n\nshards = i2e.datasets.ShardDataset("FOLDER")\n'
        "frames, label = shards[0]  # [T, C, H, W], channel 0 is OFF\n```",
        "## Settings of the conversion\n\n" + table(("setting", "value"), list(manifest["plan"]["settings"].items())),
        f"## Pictures left out\n\n{len(manifest['skipped']):,} broken ones; `manifest.json` names them.",
        f"## Cite\n\n{CITATION}",
    ]
    return page(metadata, "\n\n".join(part.strip() for part in body))


def _splits(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """Where Hugging Face finds each split: shards are called `<split>-NNNNN-of-NNNNN.parquet`."""
    names = [str(shard["file"]).rpartition("-of-")[0].rpartition("-")[0] for shard in manifest["shards"]]
    return [{"split": split, "path": f"{split}-*.parquet"} for split in dict.fromkeys(names)]


#: Hugging Face's words for the number of rows.
_SIZES = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"), (10**9, "100M<n<1B"),
)  # fmt: skip
