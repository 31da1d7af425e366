"""Who may do what: read from the router itself, so that a route without a rule cannot exist."""

import re

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount
from visitors import PASSWORD, ajax, hidden, post, token

from heed.errors import UserError
from heed.feedback.schema_people import ROLES
from heed.web.guard import SAFE, Needs
from heed.workflows.serve import Serve, check

NOWHERE = {"task": "999999", "submission": "nothing-here", "token": "no-such-token", "letter": "A", "id": "no-such-id",
           "kind": "rank", "name": "nobody", "snapshot": "none"}  # fmt: skip


def routes(app):
    """(method, path with its places filled, role) of every route; fails for one without a rule."""
    found = []
    for route in app.routes:
        if isinstance(route, Mount):
            assert route.path == "/static"
            continue
        assert isinstance(route, APIRoute), route
        rules = [d.call for d in route.dependant.dependencies if isinstance(d.call, Needs)]
        assert len(rules) == 1, f"{route.path} does not say who may"
        path = re.sub(r"\{(\w+)(:\w+)?\}", lambda m: NOWHERE[m[1]], route.path)
        found += [(method, path, rules[0].role) for method in sorted(route.methods)]
    return found


def ask(client, method, path, **headers):
    return client.request(method, path, headers=headers, follow_redirects=False)


def test_there_are_routes_for_everybody(app):
    found = routes(app)
    assert len(found) > 40 and {role for *_, role in found} >= {"", "labeler", "manager", "admin"}


def test_nobody_gets_nowhere_without_logging_in(app, browser):
    nobody = browser()
    for method, path, role in routes(app):
        if role:
            answer = ask(nobody, method, path)
            assert answer.status_code == 401, (method, path, answer.status_code)
            assert "secret-checkpoint" not in answer.text


@pytest.mark.parametrize("mine", ROLES)
def test_every_route_for_every_role(app, browser, mine):
    """Those above may, those below get 403 and nothing else."""
    client = browser("somebody", mine)
    csrf = token(client)
    for method, path, role in routes(app):
        if path in ("/logout", "/account/logout-everywhere", "/login", "/api/login"):
            continue
        answer = ask(client, method, path, **{"X-CSRF-Token": csrf, "Idempotency-Key": "0198c0de-0000"})
        allowed = not role or ROLES.index(mine) >= ROLES.index(role)
        assert (answer.status_code != 403) == allowed or path.startswith("/invite/"), (method, path, answer.status_code)
        assert answer.status_code < 500, (method, path, answer.text)


def test_every_change_needs_the_pages_token(app, browser):
    client = browser("somebody", "admin")
    for method, path, _ in routes(app):
        if method not in SAFE:
            assert ask(client, method, path).status_code == 403, (method, path)
            assert ask(client, method, path, **{"X-CSRF-Token": "0" * 64}).status_code == 403, (method, path)


def test_every_change_must_be_asked_for_by_our_own_page(app, browser):
    client = browser("somebody", "admin")
    csrf = token(client)
    foreign = [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"},
               {"Origin": "null"}]  # fmt: skip
    for method, path, _ in routes(app):
        if method not in SAFE:
            for headers in foreign:
                answer = ask(client, method, path, **{"X-CSRF-Token": csrf, **headers})
                assert answer.status_code == 403, (method, path, headers)


def test_a_token_of_another_session_opens_nothing(browser):
    ann, ben = browser("ann"), browser("ben")
    assert token(ann) != token(ben)
    answer = ann.post("/next", data={"csrf": token(ben)})
    assert answer.status_code == 403


def test_no_page_lacks_its_shield(app, browser):
    client = browser("somebody", "admin")
    for method, path, _ in [*routes(app), ("GET", "/static/heed.css", ""), ("GET", "/no/such/page", "")]:
        headers = ask(client, method, path).headers
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin"


def test_the_first_admin_comes_by_invitation(browser, people):
    _, secret = people.invite("heed serve", "admin")
    client = browser()
    page = client.get(f"/invite/{secret}")
    assert "as a <b>admin</b>" in page.text
    answer = post(client, f"/invite/{secret}", name="ann", password="short", again="short")
    assert answer.status_code == 422 and "10 to 500 characters" in answer.text and 'value="ann"' in answer.text
    answer = post(client, f"/invite/{secret}", name="ann", password=PASSWORD, again=PASSWORD + "!")
    assert answer.status_code == 422 and "differ" in answer.text
    answer = post(client, f"/invite/{secret}", name="ann", password=PASSWORD, again=PASSWORD)
    assert answer.url.path == "/login" and people.user("ann").role == "admin"
    assert client.get(f"/invite/{secret}").status_code == 403  # it opens once
    assert post(client, "/login", name="ann", password=PASSWORD).url.path == "/"


def test_an_invitation_ends(browser, people, clock):
    invite, secret = people.invite("boss", "labeler", days=1)
    clock.now += 86_401
    assert browser().get(f"/invite/{secret}").status_code == 403
    invite, secret = people.invite("boss", "labeler")
    people.revoke_invite("boss", invite.id)
    assert browser().get(f"/invite/{secret}").status_code == 403
    assert browser().get("/invite/made-up").status_code == 403


def test_a_wrong_password_says_nothing_more_than_a_wrong_name(browser, people):
    browser("ann")
    client = browser()
    wrong_password = post(client, "/login", name="ann", password="something else")
    wrong_name = post(client, "/login", name="anne", password=PASSWORD)
    assert wrong_password.status_code == wrong_name.status_code == 401
    assert "Wrong name or password" in wrong_password.text and "Wrong name or password" in wrong_name.text


def test_guessing_is_slowed_down(browser):
    browser("ann")
    client = browser()
    statuses = [post(client, "/login", name="ann", password=f"guess number {i}").status_code for i in range(7)]
    assert statuses[:5] == [401] * 5 and statuses[5:] == [429, 429]
    assert post(client, "/login", name="ann", password=PASSWORD).status_code == 429


def test_a_session_is_new_after_logging_in_and_gone_after_logging_out(browser, app):
    """Nobody can plant a session: the cookie changes at the door."""
    client = browser()
    client.get("/login")
    before = client.cookies["heed"]
    browser("ann")
    post(client, "/login", name="ann", password=PASSWORD)
    after = client.cookies["heed"]
    assert after != before and client.get("/").status_code == 200
    post(client, "/logout")
    client.cookies.set("heed", after)
    assert ask(client, "GET", "/").status_code == 401


def test_the_cookie_is_hidden_from_scripts_and_other_sites(browser, app):
    browser("ann")
    client = browser()
    client.get("/login")
    answer = client.post("/login", data={"name": "ann", "password": PASSWORD, "csrf": token(client)}, follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie


def test_behind_https_the_cookie_is_for_https_only(store, people):
    from starlette.testclient import TestClient

    from heed.web.app import create_app

    settings = Serve(store="x.db", public_url="https://label.example.org")
    with TestClient(create_app(store, settings, people=people), base_url="https://label.example.org") as client:
        answer = client.get("/login")
        assert "__Host-heed=" in answer.headers["set-cookie"] and "secure" in answer.headers["set-cookie"].lower()
        assert "max-age" in answer.headers["strict-transport-security"]
        assert client.get("/login", headers={"Host": "evil.example"}).status_code == 421


def test_logged_out_everywhere(browser):
    one, two = browser("ann"), browser("ann")
    post(one, "/account/logout-everywhere")
    assert ask(two, "GET", "/").status_code == 401


def test_who_is_disabled_is_out_at_once(browser, people):
    browser("boss", "admin")
    client = browser("ann")
    people.set("boss", "ann", disabled=True)
    assert ask(client, "GET", "/").status_code == 401
    assert post(client, "/login", name="ann", password=PASSWORD).status_code == 401


def test_what_was_sent_when_the_session_had_ended_is_sent_after_logging_in(browser, work, store):
    """Without JavaScript, too, nothing typed is lost."""
    from visitors import a_task

    work.ask([a_task("demonstrate")])
    client = browser("ann")
    page = post(client, "/next")
    path, fields = page.url.path, {"submission_id": hidden(page.text, "submission_id"), "text": "Seals & <others>"}
    client.cookies.clear()
    client.get("/login")
    page = post(client, path + "/submit", fields)
    assert page.status_code == 401 and "is kept in this page" in page.text
    kept = hidden(page.text, "kept")
    page = post(client, "/login", name="ann", password=PASSWORD, kept=kept)
    assert "Send it again" in page.text
    again = {name: hidden(page.text, name) for name in ("submission_id", "text", "csrf")}
    client.post(path + "/submit", data=again)
    assert [d.completion for d in store.demonstrations()] == ["Seals & <others>"]


def test_programs_show_a_token(browser, app, people):
    client = browser("ann")
    page = post(client, "/account/tokens", label="my script")
    secret = re.search(r"<code>([\w-]{40,})</code>", page.text)[1]
    program = browser()
    headers = {"Authorization": f"Bearer {secret}"}
    assert program.get("/api/progress", headers=headers).json()["total"] == 0
    assert program.post("/api/claim", json={}, headers=headers).status_code == 200  # no cookie, so nothing to forge
    assert program.get("/", headers=headers, follow_redirects=False).status_code == 401  # pages are for people
    assert program.get("/api/progress", headers={"Authorization": "Bearer no"}).status_code == 401
    id = re.search(r"/account/tokens/(\w+)/revoke", page.text)[1]
    assert browser("ben") and post(browser("ben"), f"/account/tokens/{id}/revoke").status_code == 400
    post(client, f"/account/tokens/{id}/revoke")
    assert program.get("/api/progress", headers=headers).status_code == 401


def test_a_password_is_changed(browser):
    client = browser("ann")
    assert "wrong name or password" in post(client, "/account/password", old="x", new=PASSWORD, again=PASSWORD).text.lower()
    fresh = "another password"
    assert "differ" in post(client, "/account/password", old=PASSWORD, new=fresh, again="other").text
    assert post(client, "/account/password", old=PASSWORD, new=fresh, again=fresh).url.path == "/login"
    assert post(client, "/login", name="ann", password=fresh).url.path == "/"


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"])
def test_nobody_is_sent_elsewhere(browser, back):
    browser("ann")
    client = browser()
    assert post(client, "/login", name="ann", password=PASSWORD, back=back).url.host == "127.0.0.1"


def test_only_addresses_of_pages_lead_out(browser):
    client = browser("ann")
    assert 'href="https://example.org/a?b=1"' in client.get("/leave", params={"to": "https://example.org/a?b=1"}).text
    for bad in ("javascript:alert(1)", "data:text/html,x", "//example.org", "/work", "vbscript:x", "http://", "http://[x"):
        assert client.get("/leave", params={"to": bad}).status_code == 400, bad


def test_other_machines_only_with_a_secret():
    check(Serve(store="x.db"))
    check(Serve(store="x.db", host="::1"))
    with pytest.raises(UserError, match="needs a secret"):
        check(Serve(store="x.db", host="0.0.0.0"))
    with pytest.raises(UserError, match="needs a secret"):
        check(Serve(store="x.db", host="label.example.org"))
    with pytest.raises(UserError, match="at least 32"):
        check(Serve(store="x.db", host="0.0.0.0", secret="short"))
    check(Serve(store="x.db", host="0.0.0.0", secret="s" * 32))


def test_too_much_is_refused(browser):
    client = browser("ann")
    answer = ajax(client, "POST", "/api/claim", json={"kind": "x" * (3 << 20)})
    assert answer.status_code == 413
