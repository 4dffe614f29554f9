"""TFRecord shards: bytes written by hand here, the real AstroNet shards, and damaged files."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxastro.errors import InputError
from jaxastro.io.tfrecord import masked_crc32c, read_tfrecord

pytestmark = pytest.mark.core


def varint(n: int) -> bytes:
    out = b""
    while True:
        n, low = n >> 7, n & 0x7F
        if not n:
            return out + bytes([low])
        out += bytes([low | 0x80])


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def feature(value) -> bytes:
    if isinstance(value, bytes):
        return field(1, field(1, value))
    if isinstance(value, list):
        return field(3, field(1, b"".join(varint(v % 2**64) for v in value)))
    return field(2, field(1, value.astype("<f4").tobytes()))


def example(values: dict) -> bytes:
    entries = [field(1, field(1, name.encode()) + field(2, feature(value))) for name, value in values.items()]
    return field(1, b"".join(entries))


def frame(record: bytes) -> bytes:
    length = struct.pack("<Q", len(record))
    sums = masked_crc32c([length, record])
    return length + struct.pack("<I", sums[0]) + record + struct.pack("<I", sums[1])


def test_checksum_equals_the_published_vectors():
    """RFC 3720, B.4: CRC-32C of 32 zeros, of 32 ones, of 0..31, and the check value of '123456789'."""
    texts = [bytes(32), b"\xff" * 32, bytes(range(32)), b"123456789", b""]
    plain = np.array([0x8A9136AA, 0x62A8AB43, 0x46DD794E, 0xE3069283, 0], dtype=np.uint64)
    masked = ((plain >> 15 | plain << 17) + 0xA282EAD8) % 2**32
    np.testing.assert_array_equal(masked_crc32c(texts), masked)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4), st.binary(max_size=20))
def test_what_was_written_comes_back(tmp_path_factory, integers, text):
    path = tmp_path_factory.mktemp("shard") / "x.tfrecord"
    flux = np.linspace(-1, 1, 7, dtype=np.float32)
    path.write_bytes(frame(example({"n": integers, "name": text, "flux": flux})) * 2)
    for record in read_tfrecord(path):
        assert record["n"].tolist() == integers
        assert record["name"] == [text]
        np.testing.assert_array_equal(record["flux"], flux)


def test_unpacked_numbers_are_read_too(tmp_path):
    unpacked = field(2, varint(1 << 3 | 5) + struct.pack("<f", 1.5) + varint(1 << 3 | 5) + struct.pack("<f", -2.0))
    entry = field(1, field(1, b"x") + field(2, unpacked))
    (tmp_path / "x.tfrecord").write_bytes(frame(field(1, entry)))
    assert read_tfrecord(tmp_path / "x.tfrecord")[0]["x"].tolist() == [1.5, -2.0]


@pytest.mark.parametrize("cut", [1, 5, 13, 40])
def test_a_truncated_file_is_one_sentence(tmp_path, cut):
    whole = frame(example({"flux": np.zeros(30, np.float32)}))
    (tmp_path / "x.tfrecord").write_bytes(whole + whole[:-cut])
    with pytest.raises(InputError, match=r"x\.tfrecord: record 1 .*truncated"):
        read_tfrecord(tmp_path / "x.tfrecord")


def test_a_flipped_bit_is_found(tmp_path):
    whole = bytearray(frame(example({"flux": np.zeros(30, np.float32)})) * 3)
    whole[len(whole) // 2] ^= 1
    (tmp_path / "x.tfrecord").write_bytes(bytes(whole))
    with pytest.raises(InputError, match="checksum of record 1"):
        read_tfrecord(tmp_path / "x.tfrecord")


def test_a_record_of_something_else_is_named(tmp_path):
    (tmp_path / "x.tfrecord").write_bytes(frame(b"\xff\xff\xff"))
    with pytest.raises(InputError, match=r"record 0 is not a tf\.train\.Example"):
        read_tfrecord(tmp_path / "x.tfrecord")


@pytest.mark.realdata
def test_shards_of_astronet_hold_what_the_npz_holds(real_data):
    folder = real_data / "vetting" / "kepler_dr24_astronet"
    records = read_tfrecord(folder / "val-00000-of-00001.tfrecord")
    with np.load(folder / "kepler_dr24_views.npz") as z:
        keys = {(k, n): i for i, (k, n) in enumerate(zip(z["kepid"], z["tce_plnt_num"], strict=True))}
        views = z["global_view"]
    assert len(records) == 224
    for record in records:
        row = keys[int(record["kepid"][0]), int(record["tce_plnt_num"][0])]
        np.testing.assert_array_equal(record["global_view"], views[row])
