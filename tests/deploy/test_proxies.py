"""The example proxies pass addresses on as the program reads them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from aiohttp import ClientSession, web

from cashback.dashboard.client_address import address_of
from tests.deploy.ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
FORGED = "203.0.113.7"

pytestmark = pytest.mark.anyio


@pytest.fixture
async def upstream() -> AsyncIterator[int]:
    """Answer each request with the client's address, as the dashboard finds it behind one proxy."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f"{address_of(request, trusted_proxies=1)} {request.headers['Host']}")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield port
    await runner.cleanup()


def nginx(port: int, upstream: int, folder: Path) -> list[str]:
    """Return nginx's command: our server, without https, on a port of the test."""
    server = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    server = "\n".join(line for line in server.splitlines() if "ssl_" not in line)
    server = server.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};").replace(":8930", f":{upstream}")
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    http = "".join(f"{name}_temp_path {folder / name};" for name in names) + f"access_log off;\n{server}\n"
    around = f"daemon off; pid {folder / 'pid'}; error_log stderr; events {{}}"
    (folder / "nginx.conf").write_text(f"{around}\nhttp {{ {http} }}")
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def caddy(port: int, upstream: int, folder: Path) -> list[str]:
    """Return Caddy's command: our site, without https, on a port of the test."""
    site = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    site = site.replace("{$CASHBACK_SITE:localhost}", f"http://localhost:{port}").replace(":8930", f":{upstream}")
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + site)
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


@pytest.mark.parametrize("proxy", [nginx, caddy], ids=["nginx", "caddy"])
async def test_address_that_a_client_wrote_into_the_header_does_not_count(
    proxy: object, upstream: int, tmp_path: Path
) -> None:
    port = free_port()
    command = proxy(port, upstream, tmp_path)  # type: ignore[operator]  # either of the two above
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    async with await anyio.open_process(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"HOME": str(tmp_path), "PATH": "/usr/sbin:/usr/bin:/bin"},
    ) as process:
        try:
            with anyio.fail_after(30):
                while not await listens(port):
                    await anyio.lowlevel.checkpoint()
            async with (
                ClientSession() as client,
                client.get(f"http://localhost:{port}/", headers={"X-Forwarded-For": FORGED}) as answered,
            ):
                address, host = (await answered.text()).split()
        finally:
            process.terminate()
    assert address == "127.0.0.1"
    assert host.partition(":")[0] == "localhost"


async def listens(port: int) -> bool:
    """Return whether something accepts connections at a port."""
    try:
        stream = await anyio.connect_tcp("127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True
