"""A server on a real socket and a real Chromium, for what only a browser can show."""

import shutil
import socket
import threading
import time

import pytest
import uvicorn
from visitors import CHEAP, PASSWORD

from heed.feedback.people import People
from heed.feedback.store import open_store
from heed.feedback.work import Work
from heed.web.app import create_app
from heed.workflows.serve import Serve

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def chromium(playwright):
    """The system's Chromium; skips where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


def opened():
    """One Chromium for a module of tests: `browser = pytest.fixture(scope="module")(opened)`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = chromium(playwright)
        yield browser
        browser.close()


class Live:
    """A service that can be stopped and started again on the same address."""

    def __init__(self, folder, engines=()):
        self.store = open_store(folder / "store.db")
        self.people, self.work, self.engines = People(self.store, CHEAP), Work(self.store), engines
        self.settings = Serve(store=str(folder / "store.db"), media=str(folder), screening=0.0)
        self.port = 0
        self.start()

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        app = create_app(self.store, self.settings, engines=self.engines, people=self.people)
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_keep_alive=75, timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def stop(self):
        self.server.should_exit = True
        self.thread.join()

    def close(self):
        self.stop()
        self.store.close()

    def account(self, name, role="labeler"):
        if self.people.user(name) is None:
            _, token = self.people.invite("test", role)
            self.people.accept(token, name, PASSWORD)

    def page(self, browser, name=None, role="labeler", **context):
        """A page in a new browser context, logged in; its faults are in `page.faults`."""
        made = browser.new_context(viewport=context.pop("viewport", {"width": 1440, "height": 900}), **context)
        page = made.new_page()
        page.set_default_timeout(30_000)  # a busy machine is no failure
        page.faults, page.left = [], []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("console", lambda m: page.faults.append(m.text) if "Content Security" in m.text or "TrustedScript" in m.text
                else None)  # fmt: skip
        page.on("request", lambda r: None if r.url.startswith((self.base, "data:", "blob:")) else page.left.append(r.url))
        if name is not None:
            self.account(name, role)
            page.goto(self.base + "/login")
            page.fill("input[name=name]", name)
            page.fill("input[name=password]", PASSWORD)
            page.press("input[name=password]", "Enter")
            page.wait_for_url(self.base + "/")
        return page

    def take(self, page, kind):
        """Claim a task of that kind, from the first page."""
        page.goto(self.base + "/")
        page.locator("li.kind", has=page.locator(f"a[href='/instructions/{kind}']")).locator("button, a.button").first.click()
        page.wait_for_url("**/task/*")
        ready(page)


def ready(page):
    """Its modules have run."""
    page.wait_for_selector("body[data-ready]", state="attached")
