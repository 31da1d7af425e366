"""Settings from a recipe and from the command line: what wins, what is refused, and what is said then."""

from types import SimpleNamespace

import pytest

from heed.cli import main
from heed.config import dump, make, override
from heed.errors import UserError
from heed.workflows.ppo import PPOSettings
from heed.workflows.sft import SFTSettings

NEEDED = ["model=m", "dataset=d", "output_dir=o"]


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """settings("ppo", "kl_coef=1") -> what the workflow would have been called with."""
    monkeypatch.chdir(tmp_path)
    seen = []

    def of(verb, *argv):
        module = __import__(f"heed.workflows.{verb}", fromlist=["run"])
        monkeypatch.setattr(module, "run", seen.append)
        main([verb, *map(str, argv)])
        return seen.pop()

    return of


def recipe(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def test_the_command_line_wins_over_the_recipe_and_its_last_word_over_all(settings, tmp_path):
    path = recipe(tmp_path, "model: m\ndataset: d\noutput_dir: o\nkl_coef: 0.1\nppo: {gamma: 0.9, lam: 0.8}\n")
    s = settings("ppo", "--config", path, "kl_coef=0.2", "ppo.lam=0.7", "kl_coef=0.3")
    assert (s.kl_coef, s.ppo.gamma, s.ppo.lam, s.model) == (0.3, 0.9, 0.7, "m")


@pytest.mark.parametrize("words", [
    ["--config", "recipe.yaml", "seed=3"], ["seed=3", "-c", "recipe.yaml"], ["recipe.yaml", "seed=3"],
    ["--config=recipe.yaml", "--seed=3"], ["--seed", "3", "--config", "recipe.yaml"]], ids=" ".join)
def test_all_the_usual_ways_of_writing_it(settings, tmp_path, words):
    recipe(tmp_path, "model: m\ndataset: d\noutput_dir: o\nseed: 1\n")
    assert settings("sft", *words).seed == 3


@pytest.mark.parametrize(("word", "key", "value"), [
    ("learning_rate=1e-5", "learning_rate", 1e-5),  # YAML 1.1 takes this for a text
    ("learning_rate=3", "learning_rate", 3.0),
    ("bf16=true", "bf16", True),
    ("bf16=false", "bf16", False),
    ("max_prompts=null", "max_prompts", None),
    ("max_prompts=", "max_prompts", "refused"),
    ("reward_functions=[a:b, c:d]", "reward_functions", ["a:b", "c:d"]),
    ("reward_functions=a:b", "reward_functions", ["a:b"]),
    ("report_to=wandb", "report_to", ["wandb"]),
    ("reward_model=runs/x/model", "reward_model", "runs/x/model"),
    ("reward_model=[a, b]", "reward_model", ["a", "b"]),
    ("reward_weights=[1, 0.5]", "reward_weights", [1.0, 0.5]),
    ("dataset=file.jsonl?prompt=question&split=hash", "dataset", "file.jsonl?prompt=question&split=hash"),
    ("kl_target=6", "kl_target", 6.0),
])
def test_values_are_read_as_a_person_means_them(settings, word, key, value):
    words = [*NEEDED, word]
    if value == "refused":
        with pytest.raises(SystemExit):
            settings("ppo", *words)
    else:
        assert getattr(settings("ppo", *words), key) == value


@pytest.mark.parametrize(("verb", "words", "message"), [
    ("ppo", ["kl_ceof=1"], "ppo: unknown key 'kl_ceof'; did you mean 'kl_coef'?"),
    ("ppo", ["ppo.lamm=1"], "ppo: unknown key 'ppo.lamm'; did you mean 'lam'?"),
    ("ppo", ["kl_coef.x=1"], "kl_coef = {'x': 1}: expected a valid number"),
    ("ppo", ["seed=1", "seed.x=1"], "'seed.x=1': 'seed' is a single value and has no key 'x'"),
    ("ppo", ["kl_coef=high"], "ppo: kl_coef = 'high': expected a valid number"),
    ("ppo", ["kl_coef=-1"], "ppo: kl_coef = -1: expected greater than or equal to 0"),
    ("ppo", ["ppo.action=word"], "ppo.action = 'word': expected 'token' or 'sequence'"),
    ("sft", ["batch_size=0"], "sft: batch_size = 0: expected greater than 0"),
    ("sft", ["lr_scheduler_type=cosin"], "lr_scheduler_type = 'cosin': expected 'constant', 'linear' or 'cosine'"),
    ("reward", ["ties=hlaf"], "reward: ties = 'hlaf': expected 'drop' or 'half'"),
    ("reward", ["label_smoothing=0.5"], "label_smoothing = 0.5: expected less than 0.5"),
    ("pretrain", ["vocab_size=100"], "vocab_size = 100: expected greater than or equal to 261"),
    ("sft", ["bare"], "cannot read 'bare': expected key=value or --config FILE"),
    ("sft", ["=3"], "expected key=value, got '=3'"),
    ("sft", ["--config"], "--config wants a file"),
])
def test_a_mistake_is_answered_with_what_was_expected(heed, verb, words, message):
    said = heed(verb, *NEEDED, *words)
    assert said.code == 2 and message in said.err and "Traceback" not in said.err


def test_all_that_is_missing_is_said_at_once_with_what_it_is(heed):
    said = heed("ppo")
    assert said.code == 2
    for key, what in (("model", "the SFT model"), ("dataset", "seal_bay"), ("output_dir", "goes on where it stopped")):
        assert any(f"'{key}' is required" in line and what in line for line in said.err.splitlines())


@pytest.mark.parametrize(("argv", "message"), [
    (["pppo"], "unknown verb 'pppo'; did you mean 'ppo'?"),
    (["zzz"], "unknown verb 'zzz'; valid choices: chat, collect"),
    (["--verbose"], "unknown verb '--verbose'"),
])
def test_an_unknown_verb_is_answered_with_the_nearest(heed, argv, message):
    said = heed(*argv)
    assert said.code == 2 and message in said.err


@pytest.mark.parametrize(("content", "message"), [
    (None, "no recipe at recipe.yml; did you mean 'recipe.yaml'?"),
    ("a: [", "is not valid YAML"),
    ("- a\n- b\n", "expected `key: value` lines, found list"),
    ("", "expected `key: value` lines, found NoneType"),
    ("modle: x\n", "unknown key 'modle'; did you mean 'model'?"),
    ("dataset: '${NO_SUCH_FOLDER}/x'\n", "the environment variable NO_SUCH_FOLDER"),
    ("seed: !!python/object/apply:os.system ['exit 66']\n", "is not valid YAML"),
])
def test_a_recipe_that_cannot_be_used_says_why(heed, tmp_path, content, message):
    recipe(tmp_path, "model: x\n" if content is None else content)
    said = heed("sft", "--config", "recipe.yml" if content is None else "recipe.yaml")
    assert said.code == 2 and message in said.err


def test_what_was_resolved_reads_back_as_itself():
    given = make(PPOSettings, override({"model": "m", "dataset": "d", "output_dir": "o"}, ["ppo.lam=0.5", "kl_target=3"]))
    import yaml

    assert make(PPOSettings, yaml.safe_load(dump(given))) == given


def test_an_override_changes_no_recipe():
    values = {"ppo": {"lam": 0.9}, "model": "m"}
    assert override(values, ["ppo.lam=0.1", "x=[1"]) == {"ppo": {"lam": 0.1}, "model": "m", "x": "[1"}
    assert values == {"ppo": {"lam": 0.9}, "model": "m"}


def test_settings_cannot_be_changed_behind_ones_back():
    given = make(SFTSettings, {"model": "m", "dataset": "d", "output_dir": "o"})
    with pytest.raises(Exception, match="frozen"):
        given.seed = 3


def test_a_package_that_is_missing_is_named_with_what_to_install(heed, monkeypatch):
    def absent(name):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("heed.cli.VERBS", {"ppo": ("heed.workflows.ppo", "")})
    monkeypatch.setattr("importlib.import_module", absent)
    said = heed("ppo", "model=m")
    assert said.code == 2 and "`heed ppo` needs the package 'torch': pip install 'heed[all]'" in said.err


@pytest.mark.parametrize(("error", "code", "says"), [
    (UserError("wrong"), 2, "heed: wrong"),
    (KeyboardInterrupt(), 130, "the same command continues from the last checkpoint"),
    (OSError(28, "No space left on device", "runs/x"), 3, "heed: runs/x: No space left on device; the last checkpoint"),
    (PermissionError(13, "Permission denied", "/x"), 3, "heed: /x: Permission denied"),
])
def test_how_a_command_ends(heed, monkeypatch, error, code, says):
    def run(settings):
        raise error

    monkeypatch.setattr("heed.cli._workflow", lambda verb: SimpleNamespace(SETTINGS=SFTSettings, run=run))
    said = heed("sft", *NEEDED)
    assert said.code == code and says in said.err and "Traceback" not in said.err


def test_a_fault_of_heeds_own_keeps_its_traceback(heed, monkeypatch):
    monkeypatch.setattr("heed.cli._workflow", lambda verb: SimpleNamespace(SETTINGS=SFTSettings, run=lambda s: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        heed("sft", *NEEDED)
