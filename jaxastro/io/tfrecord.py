"""TFRecord shards of tf.train.Example, read without TensorFlow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxastro.errors import InputError

Feature = np.ndarray | list[bytes]


def read_tfrecord(path: Path) -> list[dict[str, Feature]]:
    """The examples of one shard, in file order: float32 and int64 arrays, and text as lists of bytes.

    Both checksums of every record are verified. Source: the TFRecord format and `example.proto` of TensorFlow.

    Raises:
        InputError: the file is truncated, a checksum fails, or a record is not a tf.train.Example.
    """
    examples = []
    for number, record in enumerate(read_records(path)):
        try:
            examples.append(parse_example(record))
        except (IndexError, ValueError) as error:
            raise InputError(f"{path}: record {number} is not a tf.train.Example; write the shard again.") from error
    return examples


def read_records(path: Path) -> list[bytes]:
    """The raw records of one shard: each stands behind its length and two masked CRC-32C checksums.

    Raises:
        InputError: the file is absent, truncated or damaged.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a readable TFRecord file, found: {error.strerror}.") from error
    headers, records, sums, at = [], [], [], 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 8], "little")
        end = at + 16 + length
        if at + 12 > len(content) or end > len(content):
            raise InputError(
                f"{path}: record {len(records)} needs {min(end, 2**63)} bytes of file and only {len(content)} exist; "
                "the file is truncated or is no TFRecord, copy it again."
            )
        headers.append(content[at : at + 8])
        records.append(content[at + 12 : end - 4])
        sums.append([int.from_bytes(content[i : i + 4], "little") for i in (at + 8, end - 4)])
        at = end
    if not records:
        raise InputError(f"{path}: the TFRecord file is empty; copy it again.")
    expected = np.array(sums, dtype=np.uint32)
    found = np.stack([masked_crc32c(headers), masked_crc32c(records)], axis=1)
    if (bad := np.flatnonzero((expected != found).any(axis=1))).size:
        raise InputError(f"{path}: the checksum of record {bad[0]} fails; the file is damaged, copy it again.")
    return records


def masked_crc32c(records: list[bytes]) -> np.ndarray:
    """The masked CRC-32C (Castagnoli) of every record, uint32, computed for all records at once."""
    lengths = np.array([len(record) for record in records])
    order = np.argsort(-lengths, kind="stable")  # records that still have bytes left stand first
    padded = np.zeros((lengths.max(initial=0), len(records)), dtype=np.uint8)
    for column, row in enumerate(order):
        padded[: lengths[row], column] = np.frombuffer(records[row], dtype=np.uint8)
    alive = len(records) - np.searchsorted(np.sort(lengths), np.arange(len(padded)), side="right")
    crc = np.full(len(records), 0xFFFFFFFF, dtype=np.uint32)
    for values, n in zip(padded, alive, strict=True):
        crc[:n] = _TABLE[(crc[:n] ^ values[:n]) & 0xFF] ^ (crc[:n] >> 8)
    crc = ~crc
    masked = ((crc >> 15) | (crc << 17)) + np.uint32(0xA282EAD8)
    return masked[np.argsort(order)]


def parse_example(record: bytes) -> dict[str, Feature]:
    """The features of one serialised tf.train.Example, by name.

    Raises:
        ValueError, IndexError: the bytes are not such a message.
    """
    features = {}
    for body in _messages(record):
        for entry in _messages(body):
            parts: dict[int, Any] = dict(_fields(entry))
            features[parts[1].decode()] = _feature(parts.get(2, b""))
    return features


def _feature(body: bytes) -> Feature:
    for kind, values in _fields(body):
        if isinstance(values, int):
            raise ValueError("a list is no number")
        items: list[Any] = [value for _, value in _fields(values)]
        if kind == 1:
            return items
        packed = b"".join(item if isinstance(item, bytes) else _as_varint(item) for item in items)
        return np.frombuffer(packed, dtype="<f4") if kind == 2 else np.array(list(_varints(packed)), dtype=np.int64)
    return []


def _messages(body: bytes) -> Iterator[bytes]:
    """The nested messages of a protobuf message."""
    for _, value in _fields(body):
        if isinstance(value, int):
            raise ValueError("a message is no number")
        yield value


def _fields(body: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Field number and content of every field of a protobuf message; varints come as integers."""
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(body, at)
        else:
            size, at = {1: (8, at), 2: _varint(body, at) if wire == 2 else (0, at), 5: (4, at)}[wire]
            value, at = body[at : at + size], at + size
            if at > len(body):
                raise ValueError("field beyond the message")
        yield number, value


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if not byte & 0x80:
            return value, at


def _varints(body: bytes) -> Iterator[int]:
    at = 0
    while at < len(body):
        value, at = _varint(body, at)
        yield value - (1 << 64) if value >> 63 else value


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _crc_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1).astype(np.uint32)
    return table


_TABLE = _crc_table()
