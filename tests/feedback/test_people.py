"""Who may come in: nobody without an invitation, nobody by guessing, and no secret is kept."""

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from heed.errors import UserError
from heed.feedback import schema_people
from heed.feedback.people import DAY, KNOWN_FOR, SESSION_DAYS, WINDOW, People, Refused, Throttled
from heed.feedback.tokens import Tokens

SECRET = "correct horse battery"


@pytest.fixture
def people(room):
    return People(room.store, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))  # cheap, for tests alone


def join(people, name, role="labeler"):
    return people.accept(people.invite("boss", role)[1], name, SECRET)


def test_there_is_no_account_to_begin_with(people):
    assert people.empty() and people.users() == []
    with pytest.raises(Refused):
        people.login("admin", "admin", "here")
    join(people, "ann", "admin")
    assert not people.empty()


def test_an_invitation_opens_as_often_as_it_says(people, room):
    invite, token = people.invite("boss", "reviewer", "experts", uses=2)
    assert people.open_invite(token) == invite
    for name in ("ann", "bob"):
        user = people.accept(token, name, SECRET)
        assert (user.role, user.pool) == ("reviewer", "experts") and people.user(name) == user
    for knock in (lambda: people.accept(token, "eve", SECRET), lambda: people.open_invite(token)):
        with pytest.raises(Refused):
            knock()
    assert [(i.used, i.uses) for i in people.invites()] == [(2, 2)] and people.user("eve") is None


def test_a_session_that_another_server_ended_ends_within_a_second(people, room):
    join(people, "ann")
    here, there, token = people, People(room.store, people.hasher), people.login("ann", SECRET, "")
    assert here.session(token).name == there.session(token).name == "ann" and here.known(token)
    there.logout(token)
    assert there.session(token) is None, "at once where it was ended"
    room.clock.now += KNOWN_FOR
    assert here.known(token) is None and here.session(token) is None


def test_an_invitation_ends(people, room):
    late, gone = people.invite("boss", "labeler", days=1), people.invite("boss", "labeler")
    people.revoke_invite("boss", gone[0].id)
    room.clock.now += DAY
    for token in (late[1], gone[1], "guess", "", "\ud800"):
        with pytest.raises(Refused):
            people.accept(token, "ann", SECRET)
    assert people.empty()


@pytest.mark.parametrize(("name", "password", "message"), [
    ("a", SECRET, "a name has"), ("a b", SECRET, "a name has"), ("-ann", SECRET, "a name has"), ("<b>", SECRET, "a name has"),
    ("an\u202en", SECRET, "a name has"), ("x" * 65, SECRET, "a name has"), ("", SECRET, "a name has"),
    ("ann", "short", "a password has 10"), ("ann", "x" * 501, "a password has 10"),
    ("BOSS", SECRET, "taken"), ("robot", SECRET, "taken"),
])  # fmt: skip
def test_names_and_passwords(people, room, name, password, message):
    room.store.introduce("robot", "synthetic")
    join(people, "boss", "admin")
    with pytest.raises(UserError, match=message):
        people.accept(people.invite("boss", "labeler")[1], name, password)
    assert [u.name for u in people.users()] == ["boss"]


def test_a_refused_account_does_not_use_up_the_invitation(people):
    token = people.invite("boss", "labeler")[1]
    with pytest.raises(UserError):
        people.accept(token, "ann", "short")
    assert people.accept(token, "ann", SECRET).name == "ann"


def test_sessions(people, room):
    join(people, "ann")
    one, two = (people.login("ann", SECRET, "here") for _ in range(2))
    assert one != two and people.session(one).name == people.session(two).name == "ann"
    assert people.session("guess") is None and people.session("") is None
    people.logout(one)
    assert people.session(one) is None and people.session(two) is not None
    for _ in range(20):  # a visit every ten days keeps it open
        room.clock.now += (SESSION_DAYS - 4) * DAY
        assert people.session(two) is not None
    room.clock.now += SESSION_DAYS * DAY
    assert people.session(two) is None
    three = people.login("ann", SECRET, "here")
    people.logout_everywhere("boss", "ann")
    assert people.session(three) is None


def test_a_new_password_ends_every_session(people):
    join(people, "ann")
    token = people.login("ann", SECRET, "here")
    with pytest.raises(Refused):
        people.change_password("ann", "wrong", SECRET + "!")
    assert people.session(token) is not None
    people.change_password("ann", SECRET, SECRET + "!")
    assert people.session(token) is None
    with pytest.raises(Refused):
        people.login("ann", SECRET, "here")
    assert people.session(people.login("ann", SECRET + "!", "here")).name == "ann"


def test_guessing_is_slowed_down(people, room):
    join(people, "ann")

    def guess(source="there", name="ann"):
        with pytest.raises(Refused) as error:
            people.login(name, "guess guess", source)
        return isinstance(error.value, Throttled)

    assert [guess() for _ in range(7)] == [False] * 5 + [True] * 2
    with pytest.raises(Throttled) as error:
        people.login("ann", SECRET, "there")  # the right one as well
    assert 0 < error.value.wait <= WINDOW
    assert people.session(people.login("ann", SECRET, "elsewhere")).name == "ann", "ann herself is not locked out"
    room.clock.now += WINDOW
    assert people.login("ann", SECRET, "there")
    assert [guess() for _ in range(6)] == [False] * 5 + [True], "who came in begins anew"
    room.clock.now += WINDOW
    assert sum(guess(f"source {i}") for i in range(40)) == 20, "many sources, one name"
    assert sum(guess("botnet", f"name {i}") for i in range(60)) == 10, "one source, many names"


def test_a_wrong_name_and_a_wrong_password_are_told_alike(people):
    join(people, "ann")
    join(people, "boss", "admin")
    people.set("boss", join(people, "bob").name, disabled=True)
    said = set()
    for name, password in (("ann", "wrong wrong"), ("nobody", SECRET), ("bob", SECRET), ("\ud800", "\ud800"), ("", "")):
        with pytest.raises(Refused) as error:
            people.login(name, password, "here")
        said.add(str(error.value))
    assert said == {"wrong name or password"}


def test_roles_are_a_ladder(people):
    ladder = [join(people, f"{role}1", role) for role in schema_people.ROLES]
    for i, user in enumerate(ladder):
        assert [user.may(role) for role in schema_people.ROLES] == [True] * (i + 1) + [False] * (3 - i)
    with pytest.raises(UserError, match="did you mean 'manager'"):
        people.invite("boss", "manger")


def test_changing_an_account(people, room):
    join(people, "boss", "admin")
    join(people, "ann")
    token = people.login("ann", SECRET, "here")
    assert people.set("boss", "ann", role="reviewer", pool="experts", paused=True).paused
    assert people.session(token).may("reviewer")
    off = people.set("boss", "ann", disabled=True)
    assert not off.may("labeler") and people.session(token) is None
    people.set("boss", "ann", disabled=False)
    assert people.session(token) is None, "it stays ended"
    for change in ({"role": "labeler"}, {"disabled": True}):
        with pytest.raises(UserError, match="last admin"):
            people.set("boss", "boss", **change)
    assert people.user("boss").may("admin")
    with pytest.raises(UserError, match="nobody"):
        people.set("boss", "eve", paused=True)
    actions = [entry.action for entry in people.audit()]
    assert actions[0] == "change account" and "accept invite" in actions
    assert people.audit(before=people.audit()[0].seq, limit=1)[0].seq == people.audit()[1].seq


def test_tokens(people, room):
    tokens = Tokens(people)
    join(people, "boss", "admin")
    join(people, "ann")
    kept, token = tokens.make("boss", "ann", "script", days=10)
    assert tokens.user(token).name == "ann" and tokens.user("guess") is None
    assert tokens.list("ann")[0].used_at == room.clock.now and tokens.list("boss") == []
    people.set("boss", "ann", disabled=True)
    assert tokens.user(token) is None
    people.set("boss", "ann", disabled=False)
    tokens.revoke("boss", kept.id)
    assert tokens.user(token) is None and tokens.list()[0].revoked
    token = tokens.make("boss", "ann", "script", days=10)[1]
    room.clock.now += 10 * DAY
    assert tokens.user(token) is None
    for wrong in (("boss", "eve", "x"), ("boss", "ann", "x", 0)):
        with pytest.raises(UserError):
            tokens.make(*wrong)


def test_no_secret_is_kept(people, room):
    """Not one of them stands anywhere in the database."""
    invite = people.invite("boss", "admin", uses=3)[1]
    people.accept(invite, "ann", SECRET)
    session, token = people.login("ann", SECRET, "198.51.100.7"), Tokens(people).make("ann", "ann", "x")[1]
    people.change_password("ann", SECRET, SECRET + "2")
    with room.store.database.reading() as db:
        everything = repr([db.execute(sa.select(t)).all() for t in schema_people.metadata.sorted_tables])
    assert not [s for s in (invite, SECRET, session, token, "198.51.100.7") if s in everything]
    assert "$argon2id$" in everything


def test_screening(people, room):
    assert people.screening("ann") is None
    room.store.introduce("ann", "human")
    assert not people.record_screening("ann", 5.0, 7).passed
    assert people.record_screening("ann", 6.0, 8).passed, "three quarters are enough"
    assert people.screening("ann").score == 0.75
    with pytest.raises(UserError, match="without questions"):
        people.record_screening("ann", 0, 0)
