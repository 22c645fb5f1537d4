"""A real Kubernetes control plane on loopback: etcd, API server, scheduler, controller manager.

`scripts/kubernetes/build.sh` builds the programs and says where it keeps them.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scepsy.errors import EngineFailed, NotFound

VERSION = "1.20.2"
PROGRAMS = ("etcd", "kube-apiserver", "kube-scheduler", "kube-controller-manager")

_START_TIMEOUT = 180.0
"""Seconds that the API server has to become ready. Five are usual on two idle cores."""

_STOP_TIMEOUT = 10.0
"""Seconds that a program has to end after SIGTERM."""

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A control plane that runs.

    Attributes:
        url: the API server's address.
        folder: its certificates, logs and kubeconfigs; `admin.conf` is that of an administrator.
        tokens: the token of each user that is not a component.
        pids: the process of each program.
    """

    url: str
    folder: Path
    tokens: Mapping[str, str]
    pids: Mapping[str, int]

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "admin.conf"

    def kubeconfig_of(self, user: str, namespace: str = "default") -> Path:
        """Writes a kubeconfig for one of the users in `tokens`."""
        path = self.folder / f"{user}.conf"
        _write_kubeconfig(path, self.url, self.folder, self.tokens[user], namespace)
        return path


def programs_folder() -> Path:
    """Where the programs are. Raises NotFound where they were not built."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(cache) / "scepsy" / "kubernetes" / VERSION / "bin"
    missing = [name for name in PROGRAMS if not os.access(folder / name, os.X_OK)]
    if missing:
        raise NotFound(
            f"{folder}: {missing[0]} is not there; run `make setup-kubernetes`, which builds a "
            "control plane from Debian's packages in about four minutes"
        )
    return folder


@contextmanager
def control_plane(folder: Path, *, node_grace: float = 8.0) -> Generator[ControlPlane]:
    """Runs a control plane in the new folder `folder` while the block runs.

    A node whose lease is older than `node_grace` seconds counts as lost, and pods are evicted from
    it two seconds later (the usual values are 40 and 300 seconds). Users: `admin` may do anything;
    `guest` may do nothing until a role is bound to it.

    Raises:
        NotFound: the programs were not built.
        EngineFailed: a program ended, or the API server did not become ready; quotes its log.
    """
    binaries = programs_folder()
    folder.mkdir(parents=True)
    _make_service_account_key(folder)
    names: tuple[str, ...] = ("etcd", "peer", "api", "scheduler", "manager")
    ports: dict[str, int] = dict(zip(names, _free_ports(len(names)), strict=True))
    url = f"https://127.0.0.1:{ports['api']}"
    components = ("system:kube-controller-manager", "system:kube-scheduler")
    tokens = {user: secrets.token_hex(16) for user in ("admin", "guest", *components)}
    _write_secret(
        folder / "tokens.csv",
        "".join(
            f"{token},{user},{user}{',system:masters' if user == 'admin' else ''}\n"
            for user, token in tokens.items()
        ),
    )
    started: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as stack:

        def run(name: str, *arguments: str) -> None:
            started[name] = stack.enter_context(_running(binaries / name, arguments, folder))

        run("etcd", *_etcd(folder, ports))
        run("kube-apiserver", *_apiserver(folder, ports))
        _wait_until_ready(url, tokens["admin"], folder, started)
        _write_kubeconfig(folder / "admin.conf", url, folder, tokens["admin"])
        for component in components:
            path = folder / f"{component.removeprefix('system:kube-')}.conf"
            _write_kubeconfig(path, url, folder, tokens[component])
        run("kube-scheduler", *_scheduler(folder, ports))
        run("kube-controller-manager", *_controller_manager(folder, ports, node_grace))
        people = {user: token for user, token in tokens.items() if user not in components}
        yield ControlPlane(url, folder, people, {name: one.pid for name, one in started.items()})


def _etcd(folder: Path, ports: Mapping[str, int]) -> tuple[str, ...]:
    client, peer = (f"http://127.0.0.1:{ports[name]}" for name in ("etcd", "peer"))
    return (
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )


def _apiserver(folder: Path, ports: Mapping[str, int]) -> tuple[str, ...]:
    return (
        f"--etcd-servers=http://127.0.0.1:{ports['etcd']}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={ports['api']}",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
        "--service-cluster-ip-range=10.96.0.0/16",
        # A process kubelet mounts no tokens.
        "--disable-admission-plugins=ServiceAccount",
        "--endpoint-reconciler-type=none",
        "--default-not-ready-toleration-seconds=2",
        "--default-unreachable-toleration-seconds=2",
    )


def _scheduler(folder: Path, ports: Mapping[str, int]) -> tuple[str, ...]:
    return _component(folder, "scheduler", ports["scheduler"])


def _controller_manager(
    folder: Path, ports: Mapping[str, int], node_grace: float
) -> tuple[str, ...]:
    return (
        *_component(folder, "controller-manager", ports["manager"]),
        f"--service-account-private-key-file={folder / 'service-accounts.key'}",
        # Without it the controllers have the rights of the manager alone, and create no pod.
        "--use-service-account-credentials=true",
        f"--node-monitor-grace-period={node_grace}s",
        "--node-monitor-period=1s",
    )


def _component(folder: Path, name: str, port: int) -> tuple[str, ...]:
    config = folder / f"{name}.conf"
    return (
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--port=0",
        f"--cert-dir={folder / f'certificates-{name}'}",
    )


@contextmanager
def _running(
    program: Path, arguments: tuple[str, ...], folder: Path
) -> Generator[subprocess.Popen[bytes]]:
    with (folder / f"{program.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_TIMEOUT)
        process.kill()
        process.wait()


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_until_ready(
    url: str, token: str, folder: Path, started: Mapping[str, subprocess.Popen[bytes]]
) -> None:
    # Its certificate is not written yet; nothing but its readiness is read here.
    unchecked = ssl.create_default_context()
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    request = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {token}"})
    limit = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < limit:
        for name, process in started.items():
            if process.poll() is not None:
                raise EngineFailed(f"{name} ended; {_log_end(folder, name)}")
        with suppress(OSError), urllib.request.urlopen(request, timeout=5, context=unchecked):
            return
        time.sleep(0.1)
    raise EngineFailed(
        f"the API server was not ready after {_START_TIMEOUT:g} s; "
        f"{_log_end(folder, 'kube-apiserver')}"
    )


def _log_end(folder: Path, name: str) -> str:
    lines = (folder / f"{name}.log").read_text(errors="replace").splitlines()[-8:]
    return "the end of its log:\n  " + "\n  ".join(lines)


def _make_service_account_key(folder: Path) -> None:
    """The key with which the control plane signs tokens of service accounts."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise NotFound("openssl is not installed; the control plane's keys are made with it")
    key, public = folder / "service-accounts.key", folder / "service-accounts.pub"
    for arguments in (
        ("genrsa", "-out", str(key), "2048"),
        ("rsa", "-in", str(key), "-pubout", "-out", str(public)),
    ):
        subprocess.run([openssl, *arguments], check=True, capture_output=True)


def _write_kubeconfig(
    path: Path, url: str, folder: Path, token: str, namespace: str = "default"
) -> None:
    authority = folder / "certificates" / "apiserver.crt"
    cluster = {"server": url, "certificate-authority": str(authority)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "loopback", "cluster": cluster}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [
            {
                "name": "loopback",
                "context": {"cluster": "loopback", "user": "user", "namespace": namespace},
            }
        ],
        "current-context": "loopback",
    }
    _write_secret(path, json.dumps(config, indent=2))


def _write_secret(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _free_ports(count: int) -> list[int]:
    """Ports of loopback on which nothing listens now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
