"""Every kind of task, done by forms alone; and what happens when something is missing, sent twice, or somebody else's."""

import json
import re

import pytest
from visitors import a_task, ajax, hidden, post

from heed.feedback.bodies import dense_ranks


def claim(client, kind=""):
    """(page, its fields) of the next task."""
    page = post(client, "/next", kind=kind)
    assert page.url.path.startswith("/task/"), page.url
    return page, {"submission_id": hidden(page.text, "submission_id")}


def shown(page):
    """letter -> text, as on the screen."""
    return dict(re.findall(r'id="head-(\w)">.*?data-untrusted><p>(.*?)</p>', page.text, re.S))


def test_ranks_with_ties_reach_the_store_as_they_were_given(browser, work, store):
    work.ask([a_task("rank", texts=["one", "two", "three", "four"])])
    client = browser("ann")
    page, fields = claim(client)
    texts = shown(page)
    assert sorted(texts.values()) == ["four", "one", "three", "two"] and not re.search('name="ranks[^>]*checked', page.text)
    ranks = {"A": 2, "B": 2, "C": 1, "D": 4}
    answer = post(client, page.url.path + "/submit", {**fields, **{f"ranks.{x}": r for x, r in ranks.items()}})
    assert answer.url.path == "/nothing" and "Saved." in answer.text
    [ranking] = store.rankings()
    by_text = dict(zip(ranking.completions, ranking.ranks, strict=True))
    assert {letter: by_text[text] for letter, text in texts.items()} == dense_ranks(ranks)
    assert list(ranking.judgement.ranks) == [c.id for x in "ABCD" for c in ranking.comparison.candidates if c.text == texts[x]]


def test_what_is_missing_is_said_beside_its_field_and_nothing_is_cleared(browser, work, store):
    work.ask([a_task("rank")])
    client = browser("ann")
    page, fields = claim(client)
    answer = post(client, page.url.path + "/submit", {**fields, "ranks.A": 2, "ranks.C": "x", "note": "I <b>tried</b>"})
    assert answer.status_code == 422 and store.rankings() == []
    assert 'id="ranks.B-fault">Give answer B a rank.<' in answer.text and 'aria-describedby="ranks.B-fault"' in answer.text
    assert 'id="ranks.C-fault">' in answer.text and 'id="ranks.A-fault"' not in answer.text
    assert re.search(r'name="ranks.A" value="2" checked', answer.text) and "I &lt;b&gt;tried&lt;/b&gt;" in answer.text
    assert hidden(answer.text, "submission_id") == fields["submission_id"]  # the same answer, still on its way


def test_an_untouched_form_is_no_answer(browser, work, store):
    for kind in ("rank", "pairwise", "rate", "demonstrate"):
        work.ask([a_task(kind)])
    client = browser("ann")
    for kind in ("rank", "pairwise", "rate", "demonstrate"):
        page, fields = claim(client, kind)
        assert post(client, page.url.path + "/submit", fields).status_code == 422
    assert store.judgements() == []


def test_not_rankable_needs_a_reason_and_no_ranks(browser, work, store):
    work.ask([a_task("rank")])
    client = browser("ann")
    page, fields = claim(client)
    fields |= {"ranks.A": 1, "outcome": "not_rankable"}
    assert "reason-fault" in post(client, page.url.path + "/submit", fields).text
    assert post(client, page.url.path + "/submit", {**fields, "reason": "nonsense"}).status_code == 200
    assert store.judgements()[0].outcome == "not_rankable" and store.rankings() == []


@pytest.mark.parametrize(("preference", "winner"), [(-4, "A"), (-1, "A"), (3, "B")])
def test_pairwise_with_strength(browser, work, store, preference, winner):
    work.ask([a_task("pairwise", texts=["first", "second"])])
    client = browser("ann")
    page, fields = claim(client)
    texts = shown(page)
    post(client, page.url.path + "/submit", {**fields, "preference": preference})
    [ranking] = store.rankings()
    assert ranking.completions[ranking.ranks.index(1)] == texts[winner] and ranking.judgement.strength == abs(preference)


def test_both_bad_is_a_tie(browser, work, store):
    work.ask([a_task("pairwise")])
    client = browser("ann")
    page, fields = claim(client)
    assert post(client, page.url.path + "/submit", {**fields, "both_bad": 1}).status_code == 200
    assert store.rankings()[0].ranks == (1, 1)


def test_rate_with_flags(browser, work, store):
    work.instruct("boss", "rate", "Be fair.", {"ratings": [{"name": "helpful", "high": 5}, {"name": "true_to_fact"}]})
    work.ask([a_task("rate")])
    client = browser("ann")
    page = post(client, "/next")
    assert "Be fair." in page.text and "I have read them" in page.text  # once
    page = post(client, f"/instructions/{re.search('/instructions/(.+?)/ack', page.text)[1]}/acknowledge", back=page.url.path)
    fields = {"submission_id": hidden(page.text, "submission_id"), "ratings.A.helpful": 5, "flags.A.opinion": 0,
              "flags.A.hallucination": 1, "flags.A.violent": ""}  # fmt: skip
    faulty = post(client, page.url.path + "/submit", fields).text
    assert 'id="ratings.A.true_to_fact-fault"' in faulty and '"flags.A.hallucination" value="1" checked' in faulty
    assert post(client, page.url.path + "/submit", {**fields, "ratings.A.true_to_fact": 7}).status_code == 200
    scores = {name: (score, rating.high) for rating in store.ratings() for name, score in rating.scores.items()}
    assert scores == {"helpful": (5.0, 5.0), "true_to_fact": (7.0, 7.0)}


def test_demonstrations_and_edits(browser, work, store):
    work.ask([a_task("demonstrate"), a_task("edit", texts=["Seals is animals."])])
    client = browser("ann")
    page, fields = claim(client, "demonstrate")
    post(client, page.url.path + "/submit", {**fields, "text": "A seal\r\nis a mammal."})
    assert [d.completion for d in store.demonstrations()] == ["A seal\r\nis a mammal."]
    page, fields = claim(client, "edit")
    assert ">Seals is animals.</textarea>" in page.text
    unchanged = post(client, page.url.path + "/submit", {**fields, "text": "Seals is animals."})
    assert unchanged.status_code == 422 and "text-fault" in unchanged.text
    pairs = [*fields.items(), ("text", "Seals are animals."), ("reasons", "wrong"), ("reasons", "style")]
    assert post(client, page.url.path + "/submit", pairs).status_code == 200
    [ranking] = store.rankings()
    assert dict(zip(ranking.completions, ranking.ranks, strict=True)) == {"Seals is animals.": 2, "Seals are animals.": 1}


def test_clips_are_shown_to_whom_they_were_given_only(browser, work, tmp_path):
    from dataclasses import replace

    from heed.feedback.assignment import Media

    task = a_task("clips")
    media = {c.id: Media(f"{i}.webm", "video/webm", "") for i, c in enumerate(task.candidates)}
    for i in range(2):
        (tmp_path / "clips" / f"{i}.webm").write_bytes(b"film %d" % i)
    work.ask([replace(task, media=media)])
    client, other = browser("ann"), browser("ben")
    page, fields = claim(client)
    number = page.url.path.rsplit("/", 1)[1]
    films = {client.get(f"/media/{number}/{x}").content for x in "AB"}
    assert films == {b"film 0", b"film 1"} and "0.webm" not in page.text
    assert client.get(f"/media/{number}/A", headers={"Range": "bytes=0-3"}).status_code == 206
    assert other.get(f"/media/{number}/A").status_code == 404 and client.get(f"/media/{number}/C").status_code == 404
    assert post(client, page.url.path + "/submit", {**fields, "preference": 1}).status_code == 200


def test_sent_twice_is_kept_once(browser, work, store):
    """A double click, a reload, a proxy that tries again."""
    work.ask([a_task("pairwise")])
    client = browser("ann")
    page, fields = claim(client)
    for _ in range(3):
        assert post(client, page.url.path + "/submit", {**fields, "preference": 1}).status_code == 200
    assert len(store.judgements()) == 1
    differs = post(client, page.url.path + "/submit", {**fields, "preference": 2})
    assert differs.status_code == 409 and "Nothing was overwritten" in differs.text and len(store.judgements()) == 1


def test_nobody_reaches_what_is_anothers(browser, work, store):
    numbers = work.ask([a_task("rank"), a_task("demonstrate"), a_task("converse")])
    ann, ben = browser("ann"), browser("ben")
    for _ in range(3):
        page = post(ann, "/next")
        if "demonstrate" in page.text:
            break
    page, fields = claim(ann, "demonstrate")
    post(ann, page.url.path + "/submit", {**fields, "text": "Ann's own words"})
    [mine] = [one for one in ann.get("/work.jsonl").text.splitlines() if json.loads(one)["kind"] == "demonstrate"]
    sid = json.loads(mine)["submission_id"]
    for number in numbers:
        for path in (f"/task/{number}", f"/media/{number}/A", f"/api/task/{number}", f"/api/task/{number}/thread"):
            assert ben.get(path).status_code == 404, path
        for path in ("submit", "skip", "say", "suggest", "replies"):
            assert post(ben, f"/task/{number}/{path}", submission_id="0198c0de-0001", reason="other").status_code == 404, path
        headers = {"Idempotency-Key": "0198c0de-0002"}
        assert ajax(ben, "POST", f"/api/task/{number}/submit", {"text": "x"}, **headers).status_code == 404
        assert ajax(ben, "PUT", f"/api/task/{number}/draft", {"body": {}, "rev": 1}).status_code == 404
        assert ajax(ben, "POST", f"/api/task/{number}/renew").status_code == 404
    assert ben.get(f"/work/{sid}").status_code == 404 and "Ann's own words" not in ben.get("/work").text
    assert post(ben, f"/work/{sid}/undo", submission_id="0198c0de-0003").status_code == 404
    assert post(ben, f"/work/{sid}/revise", submission_id="0198c0de-0004", text="x").status_code == 404
    assert [d.completion for d in store.demonstrations()] == ["Ann's own words"]


def test_skip_undo_revise(browser, work, store):
    work.ask([a_task("pairwise"), a_task("pairwise", "Another?")])
    client = browser("ann")
    page, fields = claim(client)
    skipping = {"submission_id": "0198c0de-skip-1"}
    assert "skip-reason-fault" in post(client, page.url.path + "/skip", skipping).text
    after = post(client, page.url.path + "/skip", {**skipping, "reason": "expertise"})
    assert "Skipped." in after.text and after.url.path != page.url.path
    back = post(client, "/work/0198c0de-skip-1/undo", submission_id="0198c0de-undo-1")
    assert back.url.path == page.url.path and "Taken back" in back.text
    post(client, page.url.path + "/submit", {**fields, "preference": -4})
    assert store.rankings()[0].judgement.strength == 4
    mine = client.get("/work")
    assert "Compare two" in mine.text and "answered" in mine.text
    form = client.get(f"/work/{fields['submission_id']}")
    assert re.search('name="preference" value="-4" checked', form.text)
    revised = post(client, f"/work/{fields['submission_id']}/revise", submission_id="0198c0de-rev-1", preference=2)
    assert revised.url.path == "/work" and store.rankings()[0].judgement.strength == 2
    assert len(store.judgements()) >= 2  # the old one stays on record


def test_an_answer_closes_after_a_while(browser, work, store, clock):
    work.ask([a_task("pairwise")])
    client = browser("ann")
    page, fields = claim(client)
    post(client, page.url.path + "/submit", {**fields, "preference": 1})
    clock.now += 90_000
    assert "closed" in client.get("/work").text
    late = post(client, f"/work/{fields['submission_id']}/revise", submission_id="0198c0de-rev-1", preference=2)
    assert late.status_code == 409


def test_a_draft_is_there_again(browser, work):
    work.ask([a_task("demonstrate")])
    client = browser("ann")
    page, fields = claim(client)
    assert "Draft kept" in post(client, page.url.path + "/submit", {**fields, "do": "draft", "text": "Half a sent"}).text
    assert ">Half a sent</textarea>" in client.get(page.url.path).text
    number = page.url.path.rsplit("/", 1)[1]
    assert ajax(client, "PUT", f"/api/task/{number}/draft", {"body": {"text": "older"}, "rev": 0}).json()["rev"] == 1
    assert ajax(client, "PUT", f"/api/task/{number}/draft", {"body": {"text": "newer"}, "rev": 7}).json()["rev"] == 7
    assert ">newer</textarea>" in client.get(page.url.path).text


def test_review_of_a_disagreement(browser, work, store):
    [number] = work.ask([a_task("rank", overlap=2)])
    for name, ranks in (("ann", "123"), ("ben", "321")):
        client = browser(name)
        page, fields = claim(client)
        post(client, page.url.path + "/submit", {**fields, **dict(zip(("ranks.A", "ranks.B", "ranks.C"), ranks, strict=True))})
    work.review(number, "boss")
    assert post(browser("cat"), "/next", kind="review").status_code == 400
    client = browser("rae", "reviewer")
    page, fields = claim(client, "review")
    assert "Person 1" in page.text and "Person 2" in page.text and "ann" not in page.text
    assert post(client, page.url.path + "/submit", fields).status_code == 422
    ok = post(client, page.url.path + "/submit", {**fields, "verdict": "ambiguous", "ranks.A": 1})
    assert ok.status_code == 200


def test_the_quiz_comes_first_and_decides(browser, work, store):
    from heed.feedback.gold import Gold

    quiz = work.ask([a_task("pairwise", f"Quiz {i}", pool="screening", overlap=100) for i in range(4)])
    for number in quiz:
        Gold(store).set("boss", number, {"preference": -2})
    work.ask([a_task("pairwise", "The real thing", overlap=9)])
    for name, right in (("good", True), ("poor", False)):
        client = browser(name)
        page = post(client, "/next")
        for _ in quiz:
            assert "Quiz" in page.text and "gold" not in page.text and "screening" not in page.text
            best = "A" if shown(page)["A"] == "Answer number 1." else "B"
            sign = -1 if (best == "A") == right else 1
            page = post(client, page.url.path + "/submit", submission_id=hidden(page.text, "submission_id"), preference=sign)
        assert page.url.path == "/quiz" and ("You passed" in page.text) == right
        page = post(client, "/next")
        assert ("The real thing" in page.text) == right


def test_no_page_names_a_model_or_an_id(browser, work, store, echo):
    """Whatever a labeler gets to see says nothing of where an answer comes from."""
    for kind in ("rank", "pairwise", "rate", "edit", "converse", "live_compare"):
        work.ask([a_task(kind)])
    ids = {c.id for comparison in store.comparisons() for c in comparison.candidates}
    client = browser("ann")
    for kind in ("rank", "pairwise", "rate", "edit", "converse", "live_compare"):
        page, _ = claim(client, kind)
        raw = client.get("/api" + page.url.path)
        for answer in (page, raw, client.get("/work"), client.get("/api/progress")):
            said = answer.text + str(answer.headers)
            assert "secret-checkpoint" not in said and not any(id in said for id in ids)


def test_the_same_desk_for_programs(browser, work, store):
    work.ask([a_task("rank")])
    client = browser("ann")
    claimed = ajax(client, "POST", "/api/claim", {}).json()
    sheet = client.get(f"/api/task/{claimed['task']}").json()
    assert [item["letter"] for item in sheet["items"]] == ["A", "B", "C"]
    path, headers = f"/api/task/{claimed['task']}/submit", {"Idempotency-Key": "0198c0de-aaaa"}
    faulty = ajax(client, "POST", path, {"ranks": {"A": 1}}, **headers)
    assert faulty.status_code == 422 and set(faulty.json()["fields"]) == {"ranks.B", "ranks.C"}
    body = {"ranks": {"A": 1, "B": 2, "C": 3}, "seconds": 12.5, "client": {"ui": 1}}
    assert ajax(client, "POST", path, body, **headers).json()["outcome"] == "new"
    assert ajax(client, "POST", path, body, **headers).json()["outcome"] == "replay"
    clash = ajax(client, "POST", path, {"ranks": {"A": 3, "B": 2, "C": 1}}, **headers)
    assert clash.status_code == 409 and clash.json()["stored"] == body
    assert store.judgements()[0].seconds == 12.5
    undone = ajax(client, "POST", "/api/work/0198c0de-aaaa/undo", **{"Idempotency-Key": "0198c0de-bbbb"}).json()
    assert undone["state"] == "leased" and undone["draft"]["body"]["ranks"] == body["ranks"]
    assert ajax(client, "POST", "/api/claim", {"kind": "ranc"}).status_code == 400


def test_a_prompt_of_strange_characters_is_shown(browser, work):
    """Half a surrogate pair, NUL, text that turns around: a page comes out, and what is hidden is said."""
    work.ask([a_task("pairwise", "odd \ud800 \x00 \u202etxt", texts=["a\u200bb \udfff", "\x1b[31mred"])])
    client = browser("ann")
    page, _ = claim(client)
    assert "⟦U+202E⟧" in page.text and "⟦U+200B⟧" in page.text and "⟦U+001B⟧" in page.text and "\x00" not in page.text
    assert client.get("/api" + page.url.path).status_code == 200 and client.get("/").status_code == 200
