"""The application: its rooms, its errors, its shield."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from heed import __version__
from heed.feedback.people import People
from heed.feedback.store import SQLStore
from heed.web import refusals
from heed.web.engines import Engine
from heed.web.pages import HERE
from heed.web.routes import access, account, answers, clips, conversations, home, manage, manage_access, manage_work, programs
from heed.web.shield import Shield
from heed.web.site import Site
from heed.workflows.serve import Serve

ROOMS = (programs, home, answers, conversations, clips, access, account, manage, manage_work, manage_access)  # the busy first
QUIET = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}  # nothing is told to anybody


class Static(StaticFiles):
    """Our own style sheets and modules: the same for everybody, and no secret."""

    async def get_response(self, path: str, scope: Scope):
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"  # asked for again each time, answered by 304
        return response


def create_app(
    store: SQLStore, settings: Serve, *, engines: Sequence[Engine] = (), people: People | None = None
) -> FastAPI:
    """The labelling service on a store.  `engines`: who talks with people, in converse and live_compare."""
    app = FastAPI(title=settings.title, version=__version__, docs_url=None, redoc_url=None, openapi_url=None,
                  default_response_class=refusals.Json, telemetry=QUIET)
    app.state.site = Site(store, settings, people or People(store), engines)
    for room in ROOMS:
        app.router.routes.extend(room.router.routes)  # flat: a test reads from them who may do what
    app.mount("/static", Static(directory=HERE / "static"), name="static")
    refusals.install(app)
    app.add_middleware(Shield, site=app.state.site)
    return app
