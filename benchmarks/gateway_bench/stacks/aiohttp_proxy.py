"""A bare proxy on aiohttp: `... gateway_bench.stacks.aiohttp_proxy PORT_OF_ENGINE [uvloop]`."""

from __future__ import annotations

import asyncio
import sys

import aiohttp
from aiohttp import web


async def main(engine: str) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            body = await request.read()
            url = f"http://127.0.0.1:{engine}{request.rel_url.raw_path}"
            headers = {
                k: v for k, v in request.headers.items() if k not in ("Host", "Content-Length")
            }
            async with session.request(request.method, url, data=body, headers=headers) as reply:
                kind = reply.headers.get("Content-Type", "")
                if not kind.startswith("text/event-stream"):
                    return web.Response(
                        body=await reply.read(),
                        status=reply.status,
                        headers={"Content-Type": kind},
                    )
                response = web.StreamResponse(status=reply.status, headers={"Content-Type": kind})
                await response.prepare(request)
                while chunk := await reply.content.readany():
                    await response.write(chunk)
                await response.write_eof()
                return response

        runner = web.ServerRunner(web.Server(handle))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        sys.stdout.write(f"{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    if "uvloop" in sys.argv:
        import uvloop

        uvloop.run(main(sys.argv[1]))
    else:
        asyncio.run(main(sys.argv[1]))
