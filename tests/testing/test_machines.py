"""Machines made of namespaces: what they share, what ends with them, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.testing.machines import CommandFailed, Network, why_impossible
from scepsy.testing.machines.commands import ip, ip_json
from scepsy.testing.machines.names import Names, free_subnet, maker
from scepsy.testing.machines.network import remove_left_behind

numbers = st.integers(1, 4_194_304)


@given(pid=numbers, number=st.integers(0, 99), machine=st.integers(1, 9))
def test_names_tell_their_maker_and_fit_into_linux(pid: int, number: int, machine: int) -> None:
    names = Names(pid, number)
    all_names = (names.bridge, names.link(machine), names.namespace("w1"))
    assert all(maker(name) == pid for name in all_names)
    assert len(names.link(machine)) <= 15


@pytest.mark.parametrize("name", ["eth0", "docker0", "sy-", "br-5f", "sy-zz-1", "xsy-1-1"])
def test_names_of_others_have_no_maker(name: str) -> None:
    assert maker(name) is None


def test_a_subnet_that_is_in_use_is_not_taken() -> None:
    assert free_subnet(["10.77.1.254", "192.168.0.1", "10.77.2.7"]) == "10.77.3"


@pytest.fixture
def network() -> Iterator[Network]:
    reason = why_impossible()
    if reason is not None:
        pytest.skip(f"machines cannot be made here: {reason}")
    with Network(["a", "b"]) as made:
        yield made


def reachable(network: Network, source: str, target: str) -> bool:
    code = f"import socket; socket.create_connection(('{network[target].address}', 1), 3)"
    try:
        network[source].run(sys.executable, "-c", code)
    except CommandFailed as error:
        # A machine that is there refuses, since nothing listens; one that is not is silent.
        return "ConnectionRefusedError" in str(error)
    raise AssertionError("nothing listens there")


def test_machines_reach_each_other_and_a_cut_one_reaches_nobody(network: Network) -> None:
    assert reachable(network, "a", "b")
    network["b"].cut()
    assert not reachable(network, "a", "b")
    network["b"].mend()
    assert reachable(network, "a", "b")


def test_each_machine_sees_its_own_processes_and_its_own_folder(network: Network) -> None:
    a, b = network["a"], network["b"]
    shared = a.seen_at / "note"
    a.run("sh", "-c", f"echo a > {shared}")
    assert (a.folder / "note").read_text() == "a\n"
    with pytest.raises(CommandFailed):
        b.run("cat", str(shared))
    listed = a.run("ps", "-e", "-o", "pid=").split() if Path("/bin/ps").exists() else ["1"]
    assert "1" in listed
    assert len(listed) < 10


def test_power_off_ends_every_process_of_the_machine_at_once(network: Network) -> None:
    a = network["a"]
    a.run("sh", "-c", "setsid sleep 1234 > /dev/null 2>&1 &")
    (pid,) = a.wait_for("sleep 1234")
    a.power_off()
    assert not a.is_on
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    a.power_on()
    assert reachable(network, "b", "a")


def names_of_ours(pid: int) -> list[str]:
    links = [one["ifname"] for one in ip_json("link", "show") if one]
    spaces = [one["name"] for one in ip_json("netns", "list")]
    return [name for name in (*links, *spaces) if maker(name) == pid]


def test_nothing_is_left_after_the_block_even_if_it_fails(network: Network) -> None:
    before = names_of_ours(os.getpid())
    folder = Path()
    with suppress(ZeroDivisionError), Network(["c"]) as second:
        folder = second.folder
        assert set(names_of_ours(os.getpid())) > set(before)
        raise ZeroDivisionError
    assert names_of_ours(os.getpid()) == before
    assert not folder.exists()


def test_what_a_killed_process_left_behind_is_removed(network: Network) -> None:
    code = (
        "from scepsy.testing.machines import Network\n"
        "with Network(['d']) as made:\n"
        "    made['d'].run('sh', '-c', 'setsid sleep 4321 > /dev/null 2>&1 &')\n"
        "    print(made['d'].wait_for('sleep 4321')[0], made.folder, flush=True)\n"
        "    input()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    try:
        inner, folder = child.stdout.readline().split()
        assert names_of_ours(child.pid)
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=30)
        remove_left_behind()
        assert not names_of_ours(child.pid)
        assert "sleep 4321" not in cmdline(int(inner))
        assert not Path(folder).exists()
    finally:
        child.kill()
        child.stdin.close()
        child.stdout.close()
        child.wait(timeout=30)


def cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except FileNotFoundError:
        return ""


def test_the_interface_of_the_bridge_has_an_address_of_its_own(network: Network) -> None:
    assert network.address in ip("-4", "address")
