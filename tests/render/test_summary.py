import dataclasses
from pathlib import Path

import pytest
from counting import tiny_config

from worldmodels.config import Config, ControllerConfig
from worldmodels.render.summary import dream_in_words, in_words, stage_rows
from worldmodels.runs import Run


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "a dream of temperature 1"),
        ({"temperature": 1.15, "dropout": 0.05}, "a dream of temperature 1.15, M without 5% of its units"),
        ({"ends": "weighed"}, "a dream of temperature 1, its ends weighed"),
        ({"ensemble": "member"}, "a dream of temperature 1, each moved by one of 3 Ms"),
        ({"ensemble": "other"}, "a dream of temperature 1, each moved by one of 2 Ms whose state C does not see"),
        (
            {"ensemble": "penalty", "disagreement": 0.5},
            "a dream of temperature 1, less 0.5 times what 3 Ms disagree on",
        ),
    ],
)
def test_a_guarded_dream_is_told_with_its_guards(options: dict, words: str) -> None:
    assert dream_in_words(ControllerConfig(world="dream", **options), 3) == words


def test_every_m_has_a_row(tmp_path: Path) -> None:
    config = tiny_config()
    for members, labels in ((1, ["M"]), (3, ["M", "M 1", "M 2"])):
        several = dataclasses.replace(config, memory=dataclasses.replace(config.memory, members=members))
        names = [row[0] for row in stage_rows(Run(tmp_path, several))]
        assert [name for name in names if name.startswith("M")] == labels


def test_a_controller_says_its_form() -> None:
    layered = ControllerConfig(inputs="z", hidden=40)
    words = in_words(Config(controllers={"real": ControllerConfig(), "layered": layered}))
    assert "(real: linear, by cma, in the real game, seeing z and h," in words
    assert "layered: with 40 hidden units, by cma, in the real game, seeing z," in words
