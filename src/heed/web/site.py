"""What every page can reach: the store's desks, the models, the settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from heed.feedback.desk import Desk
from heed.feedback.models import Models
from heed.feedback.people import People
from heed.feedback.store import SQLStore
from heed.feedback.talks import Talks
from heed.feedback.tokens import Tokens
from heed.feedback.work import Work
from heed.web.engines import Engine
from heed.workflows.serve import Serve, is_this_machine


@dataclass(frozen=True)
class Site:
    """One server on one store."""

    store: SQLStore
    settings: Serve
    people: People
    engines: Sequence[Engine] = ()

    @cached_property
    def desk(self) -> Desk:
        return Desk(self.store, self.settings.gold_share, self.settings.revise_hours * 3600)

    @cached_property
    def talks(self) -> Talks:
        return Talks(self.store)

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self.people)

    @cached_property
    def work(self) -> Work:
        return Work(self.store)

    @cached_property
    def models(self) -> Models:
        return Models(self.store)

    @cached_property
    def hosts(self) -> frozenset[str]:
        """Names by which this server may be called; empty where any will do."""
        named = {urlsplit(self.settings.public_url).hostname} if self.settings.public_url else set()
        if is_this_machine(self.settings.host):
            return frozenset(named | {"localhost", "127.0.0.1", "::1", self.settings.host})
        return frozenset(named)

    @property
    def encrypted(self) -> bool:
        """Whether people reach it by https only."""
        return self.settings.public_url.startswith("https://")

    @property
    def cookie(self) -> str:
        """Name of the session's cookie; `__Host-` makes the browser refuse one that another host has set."""
        return "__Host-heed" if self.encrypted else "heed"
