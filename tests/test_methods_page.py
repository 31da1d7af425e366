"""docs/methods.md against the tables of methods, the table of recipes and the names of settings."""

import re
from pathlib import Path

from heed.workflows import methods, offline, rl

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")


def rows(section):
    """The cells of the table below a heading."""
    text = PAGE[PAGE.index(section) :].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")][1:]


def test_both_tables_are_whole_and_say_what_a_method_needs():
    found = {row[0].strip("`"): row for row in rows("## From judgements")}
    assert found.keys() == methods.OFFLINE.keys()
    assert all((found[name][2] == "yes") == line.reference for name, line in methods.OFFLINE.items())
    found = {row[0].strip("`"): row for row in rows("## From its own samples")}
    assert found.keys() == methods.ONLINE.keys()
    for name, line in methods.ONLINE.items():
        assert found[name][1].startswith("yes") == line.critic
        assert found[name][2].startswith("reward") == (line.price == "reward")


def test_every_method_is_resolved_and_every_setting_it_speaks_of_is_there():
    for table in (methods.OFFLINE, methods.ONLINE):
        for name in table:
            assert methods.algorithm(table, name, {})
    known = offline.OfflineSettings.model_fields | rl.RL.model_fields
    for name in re.findall(r"`(reference_model|sft_coef|learn_from|reward_combine|kl_coef|kl_in|divergence)\b", PAGE):
        assert name in known
    assert all((ROOT / recipe).exists() for recipe in re.findall(r"recipes/\w+\.yaml", PAGE))
