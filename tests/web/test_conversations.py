"""Talking with a model, and playing both sides, by forms alone."""

from visitors import a_task, ajax, hidden, post


def begin(client, kind):
    page = post(client, "/next", kind=kind)
    return page, page.url.path


def say(client, page, path, text, **more):
    fields = {name: hidden(page.text, name) or "" for name in ("message_id", "parent_id", "role")}
    return post(client, path + "/say", {**fields, "text": text, **more})


def test_both_sides_with_a_suggestion_and_a_branch(browser, work, store, echo):
    work.ask([a_task("converse", "Talk about the sea.")])
    client = browser("ann")
    page, path = begin(client, "converse")
    assert "You are the <b>PERSON</b>" in page.text
    # The prompt was the person's own word already, so the assistant is next.
    page = say(client, page, path, "Hello", role="assistant") if "ASSISTANT" in page.text else page
    before = page
    page = say(client, page, path, "How deep is the sea?")
    assert page.status_code in (200, 422)
    if page.status_code == 422:
        return
    assert "You are the <b>ASSISTANT</b>" in page.text and "How deep is the sea?" in page.text
    parent = hidden(page.text, "parent_id")
    drafts = post(client, path + "/suggest", parent_id=parent, role="assistant", text="half a thought")
    assert "Suggestion 1" in drafts.text and "half a thought" in drafts.text
    suggestion = hidden(drafts.text, "suggestion")
    page = say(client, drafts, path, "Very deep.", suggestion=suggestion)
    assert "Very deep." in page.text and "You are the <b>PERSON</b>" in page.text
    branch = say(client, before, path, "How wide is it?", message_id="0198c0de-branch")
    assert "How wide is it?" in branch.text and "How deep" not in branch.text and "Versions:" in branch.text


def test_talk_and_compare(browser, work, store, echo):
    work.ask([a_task("live_compare", "Ask about seals.")])
    client = browser("ann")
    page, path = begin(client, "live_compare")
    page = say(client, page, path, "Do seals sleep?")
    assert "Get two replies" in page.text
    parent = hidden(page.text, "parent_id")
    echo.silent = True
    asleep = post(client, path + "/replies", parent_id=parent)
    assert asleep.status_code == 503 and "The model is asleep" in asleep.text and store.comparisons() == []
    echo.silent = False
    page = post(client, path + "/replies", parent_id=parent)
    assert "Echo 1" in page.text and "Echo 2" in page.text and "secret-checkpoint" not in page.text
    again = post(client, path + "/replies", parent_id=parent)
    assert "Echo 1" in again.text and "Echo 3" not in again.text  # the first pair stays
    turn = page.text.split('data-turn="')[1].split('"')[0]
    page = post(client, f"/task/{turn}/submit", submission_id=hidden(page.text, "submission_id"), preference=-3,
                talk=path.rsplit("/", 1)[1])  # fmt: skip
    assert page.url.path == path and "The other reply" in page.text and "End the conversation" in page.text
    end = post(client, path + "/submit", submission_id="0198c0de-end-1", leaf=hidden(page.text, "leaf"))
    assert end.status_code == 200 and "Saved" in end.text
    [ranking] = store.rankings()
    assert ranking.judgement.strength == 3 and all("Echo" in text for text in ranking.completions)


def test_red_team_says_so(browser, work):
    work.ask([a_task("live_compare", mode="red_team")])
    client = browser("ann")
    _, path = begin(client, "live_compare")
    page = post(client, "/warned", back=path)
    assert "Red team." in page.text and "more harmful" in page.text


def test_without_a_model_the_page_says_so(browser, work, app):
    from dataclasses import replace

    app.state.site = replace(app.state.site, engines=())
    work.ask([a_task("live_compare"), a_task("converse")])
    client = browser("ann")
    page, path = begin(client, "converse")
    assert "No model is connected" in page.text and "Say it" in page.text
    page, path = begin(client, "live_compare")
    page = say(client, page, path, "Anybody there?")
    assert "No model is connected" in page.text and "disabled" in page.text and "Skip this task" in page.text
    assert ajax(client, "POST", f"/api{path}/replies", {"message_id": hidden(page.text, "parent_id")}).status_code == 503


def test_an_empty_message_is_said_to_be_empty(browser, work):
    work.ask([a_task("live_compare")])
    client = browser("ann")
    page, path = begin(client, "live_compare")
    page = say(client, page, path, "   ")
    assert page.status_code == 422 and "text-fault" in page.text


def test_to_end_there_must_be_a_reply(browser, work):
    work.ask([a_task("live_compare")])
    client = browser("ann")
    page, path = begin(client, "live_compare")
    page = say(client, page, path, "Hello")
    assert "End the conversation" not in page.text
    assert post(client, path + "/submit", submission_id="0198c0de-end", leaf=hidden(page.text, "parent_id")).status_code == 422
