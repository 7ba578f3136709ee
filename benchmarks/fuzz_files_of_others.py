"""Event files as other programs write them, for `fuzz_kinds`: each is read without salvage, and then with it.

The seeds are made by code; every one is whole. Text tables, arrays and HDF5 say more than one program's layout.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_kind import Kind, Read
from fuzz_seeds import some_events

#: (width, height) of the cameras.
_DVS128, _DAVIS = (128, 128), (240, 180)
_COUNTS = (3, 400)


def both_ways(name: str | None, size: tuple[int, int] | None = None, **options: Any) -> Read:
    """Reads a file of format `name` (None: as the file says) as it is, and where it is damaged salvages it."""
    from i2e_deploy.errors import FileFormatError
    from i2e_deploy.events.files import open_events

    def packets(path: Path, damaged: Any) -> bool:
        with open_events(path, name, size, damaged=damaged, **options) as stream:
            for packet in stream:
                assert len(packet) == 0 or int(packet["t"].min()) <= int(packet["t"].max())
            return stream.damage is not None

    def read(path: Path) -> str:
        try:
            packets(path, "error")
        except FileFormatError:
            assert packets(path, "salvage")  # what is refused and salvaged says its damage
            return "salvaged"
        return "read"

    return read


def files_of_others(folder: Path) -> list[Kind]:
    """All of them; ROS bags and MCAP where their libraries are installed."""
    from i2e_deploy.events.formats import in_child

    in_child._SECONDS = 2  # what hangs costs its limit

    def kind(name: str, suffix: str, seeds: list[bytes], *given: Any, **options: Any) -> Kind:
        return Kind(f"events {name}", "event files", suffix, tuple(seeds), both_ways(*given, **options))

    evt2, dat = _without_header(folder)
    found = [
        kind("aedat1", ".dat", [_aedat1(n, head) for n in _COUNTS for head in (b"", b"#!AER-DAT1.0\r\n")], "aedat1"),
        kind("aedat2", ".aedat", [_dvs128(3), _dvs128(400), _davis(3), _davis(400)], None),
        kind("aedat2 unnamed", ".aedat", [_davis(400, chip=False)], None, _DAVIS),
        kind("text tables", ".csv", _texts(), "csv"),
        kind("text of columns", ".txt", _texts()[-1:], "csv", None, columns="xytp", time_unit="ms"),
        kind("bin of any size", ".bin", [_bin(n) for n in _COUNTS], "nmnist", (240, 180)),
        kind("dat without header", ".dat", dat, "dat", _DAVIS),
        kind("evt2 without header", ".raw", evt2, "evt2", _DAVIS),
        kind("npy of others", ".npy", [_npy(array) for array in _arrays()], "npy"),
        kind("npz of others", ".npz", _npzs(), "npz"),
        kind("hdf5", ".h5", _hdf5s(folder), "hdf5", None),
    ]
    ros = _ros(folder)
    return found + [kind(name, suffix, seeds, name) for name, suffix, seeds in ros if seeds]


def _records(addresses: Any, t: Any, kind: str) -> bytes:
    made = np.empty(len(t), [("address", kind), ("t", ">i4")])
    made["address"], made["t"] = addresses, t
    return made.tobytes()


def _dvs128_addresses(events: Any) -> Any:
    x, y, p = (events[name].astype(np.int64) for name in "xyp")
    return (127 - y) << 8 | (127 - x) << 1 | 1 - p


def _aedat1(count: int, head: bytes) -> bytes:
    events = some_events(count, count, _DVS128)
    return head + _records(_dvs128_addresses(events), events["t"], ">u2")


def _dvs128(count: int) -> bytes:
    events = some_events(count, count, _DVS128)
    head = b"#!AER-DAT2.0\r\n# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n"
    return head + _records(_dvs128_addresses(events), events["t"], ">u4")


def _davis(count: int, chip: bool = True) -> bytes:
    """Every fifth an APS or IMU sample."""
    events = some_events(count, count, _DAVIS)
    x, y, p = (events[name].astype(np.int64) for name in "xyp")
    address = (179 - y) << 22 | (239 - x) << 12 | p << 11
    address[::5] |= 1 << 31
    address[::10] |= 3 << 10
    line = b"# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n" if chip else b""
    return b"#!AER-DAT2.0\r\n" + line + _records(address, events["t"], ">u4")


def _texts() -> list[bytes]:
    """Headers, orders, separators, units and polarities that people use."""
    rows = some_events(60, 7).tolist()
    made = [
        "\ufefftimestamp_ns,x,y,polarity\n" + "".join(f"{t * 1000},{x},{y},{p}\n" for t, x, y, p in rows),
        "# x y t p\n" + "".join(f"{x} {y} {t / 1e6:.6f} {2 * p - 1}\n" for t, x, y, p in rows),
        "% t[ms];p;y;x\n" + "".join(f"{t / 1000};{p};{y};{x}\n" for t, x, y, p in rows),
        "34 34\n" + "".join(f"{t / 1e6:.9f} {x} {y} {p}\n" for t, x, y, p in rows),
        "".join(f"{t}\t{x}\t{y}\t{p}\r\n" for t, x, y, p in rows),
        "".join(f"{x},{y},{t},{p}\n" for t, x, y, p in rows),
    ]
    return [text.encode() for text in made]


def _bin(count: int) -> bytes:
    """With overflows of the clock, in row 240."""
    events = some_events(count, count, _DAVIS)
    t, p = events["t"].astype(np.int64), events["p"].astype(np.int64)
    y = events["y"].copy()
    y[1::50] = 240
    columns = (events["x"], y, p << 7 | t >> 16, t >> 8 & 255, t & 255)
    made: bytes = np.stack([column.astype(np.uint8) for column in columns], axis=1).tobytes()
    return made


def _without_header(folder: Path) -> tuple[list[bytes], list[bytes]]:
    """Words of EVT2, and records of DAT: bare, and of version 1 and of the older type behind a header."""
    from i2e_deploy.events.files import write_events

    words, records = list[bytes](), list[bytes]()
    for count in _COUNTS:
        for name, found in (("evt2", words), ("dat", records)):
            path = folder / f"headed.{name}"
            write_events(path, some_events(count, count), (34, 34), format=name)
            _, _, data = path.read_bytes().partition(b"% end\n")
            found.append(data if name == "evt2" else data[2:])
    events = some_events(400, 400)
    t, x, y, p = (events[name].astype("<u4") for name in "txyp")
    first = np.stack([t, p << 17 | y << 9 | x], axis=1).astype("<u4").tobytes()
    records += [b"% Data file containing CD events.\n% Version 1\n" + bytes([0x0C, 8]) + first]
    records += [b"% Data file containing Event2D events.\n% Version 2\n" + bytes([0x00, 8]) + records[1]]
    return words, records


def _arrays() -> list[Any]:
    """Of tonic, Metavision, expelliarmus; tables of whole and of real numbers, by row and by column."""
    events = some_events(200, 9)
    kinds = (
        [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")],
        [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")],
        [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")],
    )
    made = [np.empty(len(events), kind) for kind in kinds]
    for array in made:
        for name in "txyp":
            array[name] = events[name]
    table = np.stack([events[name].astype(np.int64) for name in "xytp"], axis=1)
    return [*made, table, np.asfortranarray(table.astype("f4")), table[:, [2, 0, 1, 3]].astype("f8") / [1e6, 1, 1, 1]]


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _npzs() -> list[bytes]:
    events, made = some_events(200, 11), []
    for pack in (np.savez, np.savez_compressed):
        for arrays in (
            {name: events[name] for name in "txyp"},
            {"events": _arrays()[0]},
            {"event_data": _arrays()[3]},
        ):
            file = io.BytesIO()
            pack(file, **arrays)
            made.append(file.getvalue())
    return made


def _hdf5s(folder: Path) -> list[bytes]:
    """Metavision, MVSEC's table, event_utils, v2e, DSEC with its offset; small chunks, packed and not."""
    import h5py

    events, made = some_events(120, 13), []
    theirs = np.zeros(len(events), [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    for name in "xypt":
        theirs[name] = events[name]
    table = np.stack([events["x"], events["y"], events["t"] / 1e6, 2.0 * events["p"] - 1], axis=1)

    def metavision(file: Any) -> None:
        file.attrs["geometry"] = "1280x720"
        file.create_dataset("CD/events", data=theirs, chunks=(50,), compression="gzip")

    def mvsec(file: Any) -> None:
        file.create_dataset("davis/left/events", data=table, chunks=(50, 4))

    def event_utils(file: Any) -> None:
        columns = {"xs": events["x"], "ys": events["y"], "ts": events["t"] / 1e6, "ps": events["p"].astype(bool)}
        for name, column in columns.items():
            file.create_dataset(f"events/{name}", data=column, chunks=True)
        file.attrs["sensor_resolution"] = (34, 34)

    def v2e(file: Any) -> None:
        rows = np.stack([events[name].astype("u4") for name in "txyp"], axis=1)
        file.create_dataset("events", data=rows, chunks=(50, 4), compression="gzip")

    def dsec(file: Any) -> None:
        for name in "txyp":
            file.create_dataset(f"events/{name}", data=events[name], chunks=(50,), compression="gzip")
        file["t_offset"], file["ms_to_idx"] = 1_000_000, np.arange(3)

    for fill in (metavision, mvsec, event_utils, v2e, dsec):
        path = folder / "other.h5"
        with h5py.File(path, "w") as file:
            fill(file)
        made.append(path.read_bytes())
    return made


_EVENT = "uint16 x\nuint16 y\ntime ts\nbool polarity\n"
_ARRAY = "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events\n"
_KIND = "dvs_msgs/msg/EventArray"


def _message(events: Any, cdr: bool) -> bytes:
    """An EventArray of 34 x 34 pixels, its header without a frame."""
    if not cdr:
        body = struct.pack("<IIIIIII", 3, 1, 2, 0, 34, 34, len(events))
        rows = (struct.pack("<HHIIB", x, y, t // 10**6, t % 10**6 * 1000, p) for t, x, y, p in events.tolist())
        return body + b"".join(rows)
    made = bytearray(struct.pack("<iII", 1, 2, 1) + b"\0")
    made += bytes(-len(made) % 4) + struct.pack("<III", 34, 34, len(events))
    for t, x, y, p in events.tolist():
        made += bytes(len(made) % 2) + struct.pack("<HH", x, y)
        made += bytes(-len(made) % 4) + struct.pack("<iIB", t // 10**6, t % 10**6 * 1000, p)
    return b"\0\1\0\0" + bytes(made)


def _ros(folder: Path) -> list[tuple[str, str, list[bytes]]]:
    """Format, suffix and seeds: bags packed and not, MCAP of ROS 1 and ROS 2, packed and not."""
    try:
        from mcap.writer import CompressionType, Writer
        from rosbags import rosbag1
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    except ImportError:
        return []
    store = get_typestore(Stores.ROS1_NOETIC)
    store.register({**get_types_from_msg(_EVENT, "dvs_msgs/msg/Event"), **get_types_from_msg(_ARRAY, _KIND)})
    parts = np.array_split(some_events(60, 15), 4)
    bags, mcaps = [], []
    for packed in (False, True):
        path = folder / f"seed{packed}.bag"
        path.unlink(missing_ok=True)
        bag = rosbag1.Writer(path)
        if packed:
            bag.set_compression(rosbag1.Writer.CompressionFormat.BZ2)
        with bag:
            topic = bag.add_connection("/dvs/events", _KIND, typestore=store)
            for number, part in enumerate(parts):
                bag.write(topic, number, _message(part, cdr=False))
        bags.append(path.read_bytes())
        for encoding in ("ros1", "cdr"):
            file = io.BytesIO()
            writer = Writer(file, compression=CompressionType.LZ4 if packed else CompressionType.NONE)
            writer.start()
            schema = writer.register_schema(_KIND, "ros1msg" if encoding == "ros1" else "ros2msg", _ARRAY.encode())
            channel = writer.register_channel("/dvs/events", encoding, schema)
            for number, part in enumerate(parts):
                writer.add_message(channel, number, _message(part, encoding == "cdr"), number)
            writer.finish()
            mcaps.append(file.getvalue())
    return [("rosbag", ".bag", bags), ("mcap", ".mcap", mcaps)]
