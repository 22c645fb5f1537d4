"""The API server of a Kubernetes cluster, through the official client.

Objects are plain JSON on both sides. The client knows credentials and connections: kubeconfig files
with tokens, certificates, login programs, and the service account of a pod.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import aiohttp

from scepsy.errors import BadInput, NotFound, Unreachable

Json = dict[str, Any]

_TIMEOUT = aiohttp.ClientTimeout(total=60.0, sock_connect=10.0)
"""Seconds for one request."""

_WATCH_SECONDS = 240
"""Seconds after which the server ends a watch, which is then opened again."""

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_PATCHES = {
    "apply": "application/apply-patch+yaml",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


class ApiRefusal(Exception):
    """The API server refused a request.

    Attributes:
        status: the HTTP status.
        reason: one word of the server's, for example "Forbidden".
        message: the server's sentence.
        causes: (reason, field, message) for each part of it.
    """

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.reason = str(body.get("reason", ""))
        self.message = str(body.get("message", ""))
        details: Any = body.get("details") or {}
        self.causes = tuple(
            (str(one.get("reason", "")), str(one.get("field", "")), str(one.get("message", "")))
            for one in details.get("causes") or ()
        )
        super().__init__(f"{status} {self.reason}: {self.message}")


@dataclass(slots=True)
class KubernetesApi:
    """One API server, as one user.

    Attributes:
        url: its address.
        namespace: the namespace that the kubeconfig's context names, or that of this pod.
    """

    url: str
    namespace: str
    _client: Any

    async def get(self, path: str, **query: str) -> Json:
        return await self.request("GET", path, query=query)

    async def find(self, path: str, **query: str) -> Json | None:
        """As `get`; None where there is no such object."""
        try:
            return await self.get(path, **query)
        except ApiRefusal as refusal:
            if refusal.status == 404:
                return None
            raise

    async def post(self, path: str, body: Json, **query: str) -> Json:
        return await self.request("POST", path, body=body, query=query)

    async def put(self, path: str, body: Json, **query: str) -> Json:
        return await self.request("PUT", path, body=body, query=query)

    async def patch(self, path: str, body: Json, kind: str, **query: str) -> Json:
        """Patches an object; `kind` is "apply" (server-side apply), "merge" or "strategic"."""
        return await self.request("PATCH", path, body=body, query=query, content=_PATCHES[kind])

    async def delete(self, path: str, body: Json | None = None, **query: str) -> Json:
        return await self.request("DELETE", path, body=body or {}, query=query)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content: str = "application/json",
    ) -> Json:
        """One request and its answer.

        Raises ApiRefusal for any status that is not 2xx, and Unreachable where there is no answer.
        """
        response = await self._send(method, path, query or {}, body, content, _TIMEOUT)
        try:
            text = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error
        answer = _parsed(text)
        if not 200 <= response.status < 300:
            raise ApiRefusal(response.status, answer)
        return answer

    async def text(self, path: str, headers: Mapping[str, str] | None = None, **query: str) -> str:
        """The body of an answer that is not JSON, such as a log or what a pod answers. Raises as
        `request` does.
        """
        response = await self._send(
            "GET", path, query, None, "application/json", _TIMEOUT, headers or {}
        )
        try:
            text: bytes = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error
        if not 200 <= response.status < 300:
            raise ApiRefusal(response.status, _parsed(text))
        return text.decode(errors="replace")

    async def changes(self, path: str, version: str, **query: str) -> AsyncIterator[Json]:
        """The changes of a list since its resource version, as the server sends them, until the
        server ends the watch. Raises ApiRefusal with status 410 where the version is too old.
        """
        options = {
            **query,
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0)
        response = await self._send("GET", path, options, None, "application/json", timeout)
        stream: Any = response.response
        try:
            if response.status != 200:
                raise ApiRefusal(response.status, _parsed(await response.read()))
            async for line in stream.content:
                event = _parsed(line)
                if event.get("type") == "ERROR":
                    status: Json = event.get("object") or {}
                    raise ApiRefusal(int(status.get("code", 500)), status)
                yield event
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error
        finally:
            stream.close()

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Json | None,
        content: str,
        limits: aiohttp.ClientTimeout,
        further: Mapping[str, str] = MappingProxyType({}),
    ) -> Any:
        headers = {"Accept": "application/json", "Content-Type": content, **further}
        try:
            call = await self._client.param_serialize(
                method,
                path,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            return await self._client.call_api(*call, _request_timeout=limits)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: BaseException) -> Unreachable:
        said = str(error) or type(error).__name__
        return Unreachable(
            f"the Kubernetes API server at {self.url} does not answer: {said}; check the address "
            "in the kubeconfig and its context, or name another with --context"
        )


@asynccontextmanager
async def connected(
    kubeconfig: Path | None = None, context: str | None = None, namespace: str | None = None
) -> AsyncGenerator[KubernetesApi]:
    """The API server that `kubeconfig` and `context` name. Without them: that of $KUBECONFIG or
    ~/.kube/config, and inside a pod that of its service account.

    Raises:
        NotFound: the extra is not installed, or there is no kubeconfig.
        BadInput: the kubeconfig cannot be used.
    """
    try:
        library: Any = importlib.import_module("kubernetes.aio.client")
        configs: Any = importlib.import_module("kubernetes.aio.config")
    except ImportError:
        raise NotFound(
            "the Kubernetes client is not installed; run `pip install 'scepsy[kubernetes]'`"
        ) from None
    configuration: Any = library.Configuration()
    try:
        own = await _load(configs, configuration, kubeconfig, context)
    except configs.ConfigException as error:
        raise BadInput(
            f"{_source(kubeconfig)}: {error}; `kubectl config get-contexts` lists the contexts"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, *_yaml_errors()) as error:
        # The client raises these where the file is no YAML, or something else than a kubeconfig.
        raise BadInput(
            f"{_source(kubeconfig)}: this is not a kubeconfig; write it again with your cluster's "
            "log-in command, or name another with --kubeconfig"
        ) from error
    client: Any = library.ApiClient(configuration)
    try:
        yield KubernetesApi(configuration.host, namespace or own or "default", client)
    finally:
        await client.close()


async def _load(
    configs: Any, configuration: Any, kubeconfig: Path | None, context: str | None
) -> str | None:
    """Fills the configuration; returns the namespace that it names, if any."""
    default = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    path = str(kubeconfig) if kubeconfig is not None else default
    in_pod = (_SERVICE_ACCOUNT / "token").exists()
    if kubeconfig is None and context is None and in_pod and "KUBECONFIG" not in os.environ:
        configs.load_incluster_config(configuration)
        return (_SERVICE_ACCOUNT / "namespace").read_text().strip()
    if not any(map(os.path.isfile, path.split(os.pathsep))):
        raise NotFound(
            f"there is no kubeconfig {path}; name one with --kubeconfig or set KUBECONFIG"
        )
    loader = await configs.load_kube_config(
        path, context=context, client_configuration=configuration, persist_config=False
    )
    chosen: Any = loader.current_context
    return str(chosen["context"].get("namespace") or "") or None


def _source(kubeconfig: Path | None) -> str:
    return str(kubeconfig) if kubeconfig is not None else os.environ.get("KUBECONFIG", "kubeconfig")


def _yaml_errors() -> tuple[type[Exception], ...]:
    """What the client's YAML library raises for text that is no YAML."""
    import yaml

    return (yaml.YAMLError,)


def _parsed(text: bytes) -> Json:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return {"message": text.decode(errors="replace")[:500]}
    return cast(Json, value) if isinstance(value, dict) else {}
