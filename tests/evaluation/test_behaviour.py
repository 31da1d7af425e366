"""An agent's part of the report: what is there is shown, what is not is left out, nothing is fetched from elsewhere."""

import json

import pytest

from heed.evaluation.behaviour import behaviour, reached
from heed.evaluation.report import write_report
from heed.evaluation.run_files import read_run
from heed.evaluation.words import number


def agent(place, reached, *, learnt=True, **config):
    """The files of a control run."""
    place.mkdir()
    rows = [{"step": i, "steps": 4096.0 * i, "seconds": float(i), "true/return": 10.0 * i,
             **({"reward/correlation_step": 0.1 * i, "reward/correlation_segment": 0.2 * i, "labels/asked": 5.0 * i,
                 "labels/used": 4.0 * i} if learnt else {})} for i in range(1, 6)]
    (place / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    last = {k: v for k, v in rows[-1].items() if "/" in k}
    (place / "summary.json").write_text(json.dumps({"true_return": reached, **last}))
    (place / "config.yaml").write_text("".join(f"{k}: {v}\n" for k, v in config.items()))
    return place


def test_it_stands_beside_its_yardstick(tmp_path):
    yard = agent(tmp_path / "rl", 200.0, learnt=False)
    (found,) = behaviour(read_run(agent(tmp_path / "run", 150.0, yardstick=yard)))
    assert found.tiles[1][:2] == ("Of RL on the true reward", "75\u00a0%")
    assert "0.50 a step and 1.00 a segment" in found.sentence
    assert "on answers from 10.0 to 50.0" in found.plots[0].alt and "on the true reward from 10.0 to 50.0" in found.plots[0].alt


def test_a_share_of_a_return_below_zero_would_mean_nothing(tmp_path):
    yard = agent(tmp_path / "rl", -170.0, learnt=False)
    (found,) = behaviour(read_run(agent(tmp_path / "run", -165.0, yardstick=yard)))
    assert found.tiles[1][:2] == ("RL on the true reward", number(-170.0))
    assert reached([found]) == f"From answers the agent reaches {number(-165.0)}, on the true reward {number(-170.0)}"


def test_a_yardstick_that_is_gone_is_left_out(tmp_path):
    (found,) = behaviour(read_run(agent(tmp_path / "run", 150.0, yardstick=tmp_path / "nowhere")))
    assert [t[0] for t in found.tiles] == ["True return", "Answers"]


def test_an_agent_on_the_true_reward_is_called_the_yardstick(tmp_path):
    (found,) = behaviour(read_run(agent(tmp_path / "rl", 200.0, learnt=False)))
    assert "it is the yardstick" in found.sentence and [p.title for p in found.plots] == ["True return"]


def test_a_run_of_a_language_model_has_no_such_part(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
    assert behaviour(read_run(tmp_path)) == []


@pytest.mark.parametrize("learnt", [True, False])
def test_the_page_holds_its_films_and_drawings_itself(tmp_path, learnt):
    place = agent(tmp_path / "run", 150.0, learnt=learnt)
    (place / "clips").mkdir()
    (place / "clips" / "end.webm").write_bytes(b"film")
    (place / "clips" / "notes.txt").write_text("no film")
    (place / "agreement.json").write_text(json.dumps({"predicted": [1.0, 2.0], "true": [2.0, 3.0]}))
    page = write_report(place).read_text()
    assert "The agent reaches a true return of 150" in page
    assert 'src="data:video/webm;base64,ZmlsbQ=="' in page and "at the end" in page and "notes" not in page
    heading = "What the agent came to do" if learnt else "What it does on the true reward"
    assert "Predicted against true reward" in page and heading in page
