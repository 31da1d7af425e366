"""What every store must do.  `check_store(open_store)` runs it all; CHECKS are the single questions.

`open_store(name)` returns the heed.protocols.Store called `name` (letters only): empty at the first call, with what it
holds at every later one.  It is sent to another process, so it must be picklable: a function of a module, or a
functools.partial of one.  Use new places for every run.
"""

import multiprocessing
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

from heed.errors import UserError
from heed.protocols import Store
from heed.records import Candidate, Comparison, Demonstration, Judgement, Message, Prompt, Rating

OpenStore = Callable[[str], Store]
# What has broken stores: quotes, controls, NUL, right-to-left marks, half surrogates, unpaired and paired, non-characters.
ODD_TEXTS = ("", " ", "'\"; DROP TABLE prompts; --", "%s :x ?1 {}", "\0", "a\0b", "\r\n\t\x0b\x1b[0m", "e\u0301 vs é",
             "👩\u200d👩\u200d👧", "\u202eabc\u202c\u200b\ufeff", "\x85\u2028\u2029", "\ud800", "x\udfffy", "\ud83d\ude00",
             "\ufdd0", "\ufdd0ff", "\uffff\U0010ffff", "漢字かな" * 2000)  # fmt: skip


def check_store(open_store: OpenStore) -> None:
    """Raises AssertionError at the first promise that the store does not keep."""
    for check in CHECKS:
        check(open_store)


def question(i: int, candidates: int = 2, split: str = "train") -> Comparison:
    """A comparison that is the same every time."""
    prompt = Prompt(f"prompt {i}", {"topic": i}, split, f"p{i}")
    shown = tuple(Candidate(f"answer {k} to {i}", "step-10", (i, k), -1.5 * k, {"seed": k}, f"c{i}.{k}")
                  for k in range(candidates))
    return Comparison(prompt, shown, f"q{i}", asked_at=float(i))


def answer(comparison: Comparison, labeler: str = "ann", ranks: tuple[int, ...] = (), **more) -> Judgement:
    """A judgement with `ranks` in the order of the candidates; 1, 2, 3 ... when none are given."""
    given = dict(zip((c.id for c in comparison.candidates), ranks or count(1), strict=False))
    more = {"id": f"{labeler} on {comparison.id}", "answered_at": 0.0, **more}
    return Judgement(comparison.id, labeler, given, **more)


def returns_what_was_added(open_store: OpenStore) -> None:
    """Every field of a comparison and of a judgement, in the order of arrival, after opening again as well."""
    store = open_store("fields")
    asked = [question(2, 3), question(0, 9), question(1)]
    given = [answer(asked[0], "bob", (1, 2, 1), strength=2.5, seconds=3.25, note="hm"), answer(asked[2], ranks=(2, 1))]
    store.add(asked)
    store.add(given)
    for seen in (store, open_store("fields")):
        assert seen.comparisons() == asked
        assert seen.judgements() == given
        assert [(r.comparison, r.judgement) for r in seen.rankings()] == [(asked[0], given[0]), (asked[2], given[1])]
        assert seen.comparisons(judged=True) == [asked[0], asked[2]]
        assert seen.comparisons(judged=False) == [asked[1]]


def keeps_any_text(open_store: OpenStore) -> None:
    """Model output is arbitrary: each text comes back as it was, wherever it stands."""
    asked, given = [], []
    for i, text in enumerate(ODD_TEXTS):
        content = text if i % 2 else (Message("user", text), Message(text, "x"))
        prompt = Prompt(content, {text: [text, {"k": text}]}, id=f"{text[:40]} {i}")
        shown = (Candidate(text, made_by=text, id=f"{text[:40]} {i} a"), Candidate(text + "!", id=f"{i} b"))
        asked.append(Comparison(prompt, shown, f"{text[:40]} {i} q"))
        given.append(answer(asked[-1], f"{text[:40]} {i}", note=text, id=f"{text[:40]} {i} j"))
    store = open_store("texts")
    store.add([*asked, *given])
    assert store.comparisons() == asked
    assert store.judgements() == given


def leaves_the_first(open_store: OpenStore) -> None:
    """Adding an id again changes nothing, in the same call or a later one."""
    store = open_store("first")
    first, again = question(1), Comparison(question(1).prompt, question(1, 3).candidates, "q1", asked_at=9.0)
    store.add([first, again])
    store.add([again, answer(first), answer(first, ranks=(2, 1), seconds=7.0)])
    store.add([answer(first, ranks=(2, 1))])
    assert store.comparisons() == [first]
    assert store.judgements() == [answer(first)]


def adds_all_or_nothing(open_store: OpenStore) -> None:
    """A bad record among good ones, or an iterator that breaks off, leaves the store as it was."""
    store = open_store("whole")
    store.add([question(1)])

    def broken() -> Iterator[Comparison]:
        yield question(2)
        raise ZeroDivisionError

    assert _raises(ZeroDivisionError, lambda: store.add(broken()))
    assert _raises(UserError, lambda: store.add([question(3), answer(question(3)), answer(question(4))]))
    assert store.comparisons() == [question(1)] and store.judgements() == []
    store.add([answer(question(3)), question(3)])  # an answer before its question, in one call, is no fault
    assert [r.comparison for r in store.rankings()] == [question(3)]


def refuses_wrong_answers(open_store: OpenStore) -> None:
    """An answer that does not fit its question is refused, and nothing of it is kept."""
    store, asked = open_store("wrong"), question(1, 3)
    store.add([asked])
    a, b, c = (x.id for x in asked.candidates)
    for ranks in ({a: 1, b: 2}, {a: 1, b: 2, "c9.9": 3}, {a: 1, b: 2, c: 3, "c9.9": 4}, {}, {a: 0, b: 1, c: 2},
                  {a: -1, b: 1, c: 2}, {a: 1.5, b: 1, c: 2}, {a: None, b: 1, c: 2}, {a: True, b: 1, c: 2}):  # fmt: skip
        assert _raises(UserError, lambda r=ranks: store.add([Judgement("q1", "ann", r)])), ranks
    for more in ({"outcome": "maybe"}, {"outcome": "skipped"}, {"strength": float("nan")}):
        assert _raises(UserError, lambda m=more: store.add([answer(asked, **m)])), more
    assert _raises(UserError, lambda: store.add([answer(question(2))])), "a question that was never asked"
    assert _raises(UserError, lambda: store.add([question(3, 1)])), "one candidate is no comparison"
    twice = Comparison(asked.prompt, asked.candidates[:1] * 2, "q4")
    assert _raises(UserError, lambda: store.add([twice])), "the same candidate twice"
    other = Comparison(asked.prompt, (Candidate("another text", id=a), asked.candidates[1]), "q5")
    assert _raises(UserError, lambda: store.add([other])), "one id, two texts"
    assert store.judgements() == [] and store.comparisons() == [asked]


def makes_ranks_dense(open_store: OpenStore) -> None:
    """2, 2, 5 is 1, 1, 2; a rank may be any whole number from 1."""
    store = open_store("dense")
    given = {(2, 2, 5): (1, 1, 2), (7, 7, 7): (1, 1, 1), (3, 1, 2): (3, 1, 2), (10**9, 1, 10): (3, 1, 2)}
    for i, ranks in enumerate(given):
        store.add([question(i, 3), answer(question(i, 3), ranks=ranks)])
    assert [r.ranks for r in store.rankings()] == list(given.values())


def ranks_only_what_holds(open_store: OpenStore) -> None:
    """Skips and verdicts of "not rankable" are kept and give no ranking; a second answer takes the place of the first."""
    store, asked = open_store("holds"), [question(i) for i in range(4)]
    nothing = {"ranks": {}, "answered_at": 0.0}
    given = [
        answer(asked[0], ranks=(1, 2), id="1"),
        Judgement("q1", "ann", outcome="skipped", id="2", **nothing),
        Judgement("q2", "ann", outcome="not_rankable", id="3", **nothing),
        answer(asked[0], "bob", (1, 1), id="4"),
        answer(asked[0], ranks=(2, 1), id="5"),
        answer(asked[3], id="6"),
        Judgement("q3", "ann", outcome="skipped", id="7", **nothing),
    ]
    for judgement in given:
        store.add([judgement] if store.comparisons() else [*asked, judgement])
    assert store.judgements() == given
    assert [r.judgement.id for r in store.rankings()] == ["4", "5"]
    assert [c.id for c in store.comparisons(judged=True)] == ["q0", "q2"]
    assert [c.id for c in store.comparisons(judged=False)] == ["q1", "q3"]


def splits_by_prompt(open_store: OpenStore) -> None:
    """`rankings(split=...)` parts them, and an unknown split is refused."""
    store, splits = open_store("splits"), ("train", "valid", "test", "train")
    asked = [question(i, split=split) for i, split in enumerate(splits)]
    store.add([*asked, *(answer(c) for c in asked)])
    for split in ("train", "valid", "test"):
        assert [r.comparison for r in store.rankings(split=split)] == [c for c in asked if c.prompt.split == split]
    assert _raises(UserError, lambda: store.rankings(split="dev"))


def accepts_ratings_and_demonstrations(open_store: OpenStore) -> None:
    """They are kept beside rankings without becoming any; a rating off its scale is refused."""
    store, asked = open_store("others"), question(1)
    rating = Rating(asked.prompt, asked.candidates[0], "ann", {"overall": 6, "helpful": 2.5}, 1, 7, "r1")
    store.add([asked, rating, Demonstration(asked.prompt, "as I would say it", "bob"), answer(asked)])
    store.add([rating])
    assert len(store.rankings()) == len(store.judgements()) == 1
    assert _raises(UserError, lambda: store.add([Rating(asked.prompt, asked.candidates[0], "ann", {"x": 8}, 1, 7, "r2")]))


def claims_once(open_store: OpenStore) -> None:
    """64 people at a time: every question goes to one of them, each is answered once, and none is left over."""
    store, questions = open_store("crowd"), [question(i) for i in range(100)]
    store.add(questions)
    got: list[tuple[str, str]] = []

    def work(name: str) -> None:
        while comparison := store.claim(name):
            got.append((comparison.id, name))
            assert store.claim(name) == comparison, "asking again, before answering, gives the same"
            store.add([answer(comparison, name)])

    _crowd(64, lambda i: work(f"person {i}"))
    twice = {id: n for id, n in Counter(id for id, _ in got).items() if n > 1}
    assert not twice, f"given to more than one person: {twice}"
    assert {id for id, _ in got} == {q.id for q in questions}
    assert sorted((j.comparison_id, j.labeler) for j in store.judgements()) == sorted(got)


def gives_skips_to_another(open_store: OpenStore) -> None:
    """Who skipped a question is not asked again; somebody else is."""
    store = open_store("skips")
    store.add([question(1)])
    assert store.claim("ann") == question(1)
    assert store.claim("bob") is None
    store.add([Judgement("q1", "ann", {}, "skipped")])
    assert store.claim("ann") is None
    assert store.claim("bob") == question(1)


def loses_nothing_when_killed(open_store: OpenStore, kills: int = 4) -> None:
    """A writer is killed (kill -9) again and again: every answer for which `add` had returned is there, and whole."""
    store, dice, acknowledged = open_store("killed"), random.Random(0), set()
    store.add([question(i) for i in range(10)])
    spawn = multiprocessing.get_context("spawn")
    for turn in range(kills):
        reading, writing = spawn.Pipe(duplex=False)
        writer = spawn.Process(target=_write_until_killed, args=(open_store, f"turn {turn}", writing), daemon=True)
        writer.start()
        writing.close()
        for _ in range(dice.randint(1, 60)):
            acknowledged.add(reading.recv())
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        try:
            while True:
                acknowledged.add(reading.recv())
        except (EOFError, OSError):  # the second where it was killed in the middle of a message
            pass
        kept = {j.id for j in open_store("killed").judgements()}
        assert acknowledged <= kept, f"{len(acknowledged - kept)} acknowledged answers are gone"
    assert all(set(j.ranks.values()) == {1, 2} for j in store.judgements()), "an answer was half-written"


def _crowd(n: int, work: Callable[[int], None]) -> None:
    """`work(i)` in n threads that start together; the first fault of any of them is raised here."""
    start, faults = threading.Barrier(n), []

    def begin(i: int) -> None:
        start.wait()
        try:
            work(i)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=begin, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def _write_until_killed(open_store: OpenStore, labeler: str, acknowledge) -> None:
    store = open_store("killed")
    for n in count():
        judgement = answer(question(n % 10), labeler, id=f"{labeler}, answer {n}")
        store.add([judgement])
        acknowledge.send(judgement.id)


def _raises(kind: type[Exception], call: Callable[[], object]) -> bool:
    try:
        call()
    except kind:
        return True
    return False


CHECKS = (
    returns_what_was_added,
    keeps_any_text,
    leaves_the_first,
    adds_all_or_nothing,
    refuses_wrong_answers,
    makes_ranks_dense,
    ranks_only_what_holds,
    splits_by_prompt,
    accepts_ratings_and_demonstrations,
    claims_once,
    gives_skips_to_another,
    loses_nothing_when_killed,
)
