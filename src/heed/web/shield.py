"""Around every response: the headers that tell a browser to run nothing but our own files; and limits on what comes in.

Nothing is inline, so `unsafe-inline` is not needed; no script of ours writes HTML, so trusted types are allowed to none.
The referrer stays within the site: "no-referrer" would have browsers send `Origin: null` with our own forms.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from heed.web.refusals import unexpected
from heed.web.site import Site

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
LARGEST = 2 << 20  # bytes of a request

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable, Callable], Awaitable[None]]


class Shield:
    """ASGI middleware."""

    def __init__(self, app: App, site: Site):
        self.app, self.site = app, site

    async def __call__(self, scope: Scope, receive: Callable, send: Callable) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        begun = False

        async def sending(message: Scope) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if self.site.encrypted:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        headers = Headers(scope=scope)
        if refused := self._refused(headers):
            return await refused(scope, receive, sending)
        try:
            await self.app(scope, _bounded(receive), sending)
        except Exception as error:
            response = await unexpected(Request(scope), error)
            if not begun:
                await response(scope, receive, sending)

    def _refused(self, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "").rsplit("]", 1)[0].lstrip("[") if "]" in headers.get("host", "") else (
            headers.get("host", "").partition(":")[0])
        if self.site.hosts and host not in self.site.hosts:
            return PlainTextResponse("this server is not called by that name", 421)
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > LARGEST:
            return PlainTextResponse(f"too large: at most {LARGEST >> 20} MiB", 413)
        return None


def _bounded(receive: Callable) -> Callable:
    """A body that grows without an announced length ends the connection."""
    seen = 0

    async def receiving() -> Scope:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return message if seen <= LARGEST else {"type": "http.disconnect"}

    return receiving
