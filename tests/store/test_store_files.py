from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.errors import BadInput, NotFound
from scepsy.store import read_record, read_toml, write_atomic, write_record

CLUSTER = Cluster(nodes=(Node(name="a", gpus=4),))


def test_a_record_comes_back_as_it_was(tmp_path: Path):
    path = tmp_path / "deep" / "er" / "cluster.json"
    write_record(path, CLUSTER)
    assert read_record(path, Cluster) == CLUSTER
    assert os.listdir(path.parent) == ["cluster.json"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_an_existing_file_is_replaced(tmp_path: Path):
    path = tmp_path / "x"
    write_atomic(path, b"old and long")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path):
    (tmp_path / "x").mkdir()  # a directory cannot be replaced by a file
    with pytest.raises(BadInput, match="x: cannot be written"):
        write_atomic(tmp_path / "x", b"content")
    assert os.listdir(tmp_path) == ["x"]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadInput, match="cannot be written"):
        write_atomic(tmp_path / "file" / "below", b"content")


@pytest.mark.parametrize("name", ["", ".", "n" * 300])
def test_a_path_that_can_be_no_file_is_refused(tmp_path: Path, name: str):
    with pytest.raises(BadInput, match="cannot be written"):
        write_atomic(Path("/") if name == "." else tmp_path / name, b"content")


def test_a_byte_order_mark_is_no_content(tmp_path: Path):
    path = tmp_path / "c"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"nodes": [{"name": "a", "gpus": 4}]}')
    assert read_record(path, Cluster) == CLUSTER
    path.write_bytes(b"\xef\xbb\xbf" + b'[[nodes]]\r\nname = "a"\r\ngpus = 4\r\n')
    assert read_toml(path, Cluster)[0] == CLUSTER


def test_a_missing_file_is_not_found(tmp_path: Path):
    with pytest.raises(NotFound, match=r"no\.json: no such file"):
        read_record(tmp_path / "no.json", Cluster)
    with pytest.raises(BadInput, match="this is a directory, not a file"):
        read_record(tmp_path, Cluster)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b'{"nodes": [{"name": "a", "gpus": "four"}]}',
            r"nodes\[0\]\.gpus: Expected `int`|node number 1: gpus: Expected `int`",
        ),
        (b'{"nodes": [], "colour": 1}', "colour: there is no such field; known are: nodes"),
        (b"{}", "missing required field `nodes`"),
        (b'{"nodes": [', "not valid JSON"),
        (b'{"nodes": [{"name": "\xff"}]}', "not valid JSON"),
        (b"", "not valid JSON"),
        (b'{"nodes": ' + b'{"a":' * 100_000, "not valid JSON|nodes"),
        (b'{"x":' * 100_000, "x: there is no such field"),
    ],
)
def test_a_bad_json_file_is_named_with_its_field(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "c.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=rf"c\.json: .*({message})"):
        read_record(path, Cluster)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nodes = 3", "nodes: Expected `array`"),
        (b"nodes = [", "not valid TOML"),
        (b"\xff", "not valid TOML"),
        (b"[[nodes]]\nname='a'\ngpus=1\nfan=2", "4: node 'a': fan: there is no such field"),
    ],
)
def test_a_bad_toml_file_is_named_with_its_field(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=rf"c\.toml:.*{message}"):
        read_toml(path, Cluster)


def test_toml_may_hold_a_whole_number_for_a_real_one(tmp_path: Path):
    path = tmp_path / "c.toml"
    path.write_text("gpu_memory = 80000000000\nnodes = []")
    assert read_toml(path, Cluster)[0].gpu_memory == 80e9


def test_a_file_without_end_is_refused(tmp_path: Path):
    for read in (read_record, read_toml):
        with pytest.raises(BadInput, match=r"/dev/zero: larger than the 256 MiB that a plan may"):
            read(Path("/dev/zero"), Cluster, "a plan")
