"""heed chat: turns go in and out, can be taken back, and nothing of a model's reaches the terminal but text."""

import io

import pytest

from heed.config import make
from heed.workflows import chat


@pytest.fixture
def talk(monkeypatch, capsys, sft):
    """talk("hi", "/undo", ...) -> (what was printed, the messages behind every reply)."""
    def run(*lines, **settings):
        seen, real = [], chat.reply

        def reply(engine, tokenizer, messages, *rest):
            seen.append([(m.role, m.content) for m in messages])
            return real(engine, tokenizer, messages, *rest)

        monkeypatch.setattr(chat, "reply", reply)
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
        chat.run(make(chat.Chat, {"model": sft, "max_completion_length": 8, "temperature": 0, **settings}))
        monkeypatch.setattr(chat, "reply", real)
        return capsys.readouterr().out, seen

    return run


def test_a_conversation_grows_by_what_was_said(talk):
    out, seen = talk("hi", "", "and?", system="be kind")
    assert [[role for role, _ in messages] for messages in seen] == [
        ["system", "user"], ["system", "user", "assistant", "user"]]
    first, second = seen
    assert first == second[:2] and second[3] == ("user", "and?") and second[2][1] in out


def test_a_turn_can_be_taken_back_and_all_begun_again(talk):
    _, seen = talk("one", "/undo", "two", "/undo", "/undo", "three", "/new", "four", "/quit", "never")
    assert seen == [[("user", text)] for text in ("one", "two", "three", "four")]
    _, seen = talk("one", "/undo", "/new", "two", system="be kind")
    assert all(messages[0] == ("system", "be kind") and len(messages) == 2 for messages in seen)


def test_a_conversation_longer_than_the_context_goes_on_from_its_end(talk):
    _, seen = talk(*["say it again and again and again"] * 12)
    assert len(seen) == 12


def test_the_same_conversation_twice_is_the_same(talk):
    assert talk("hi", "and?", temperature=1.0)[0] == talk("hi", "and?", temperature=1.0)[0]


def test_control_characters_never_reach_the_terminal():
    assert chat.printable("a\x1b[2J\x07b\u202ec\r\n\td") == "a[2Jbc\n\td"


def test_a_model_without_a_template_continues_what_is_written(talk, base, tmp_path):
    from heed.language.chat import load_tokenizer
    from heed.language.models import load_policy, save

    tokenizer = load_tokenizer(base)
    tokenizer.chat_template = None
    save(load_policy(base), tokenizer, tmp_path)
    out, _ = talk("Ann has a", model=str(tmp_path))
    assert len(out.strip()) > 0
