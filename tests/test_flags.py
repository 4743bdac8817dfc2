import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from worldmodels.config import Count, Positive, TaskConfig
from worldmodels.errors import UserError
from worldmodels.flags import parse_flags, words


@dataclasses.dataclass(frozen=True)
class Inner:
    count: Count = 3
    hold: tuple[Count, Count] = (1, 2)
    how: Literal["slow", "fast"] = "slow"
    limit: Positive | None = None
    on: bool = False


@dataclasses.dataclass(frozen=True)
class Options:
    run: Path
    inner: Inner = dataclasses.field(default_factory=Inner)
    named: dict[str, Inner] = dataclasses.field(default_factory=lambda: {"one": Inner()})


def parsed(monkeypatch: pytest.MonkeyPatch, arguments: str) -> tuple[Any, list[str]]:
    monkeypatch.setattr(sys, "argv", ["program", *arguments.split()])
    return parse_flags(Options, "A test.")


def test_flags_become_options_and_the_rest_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = "--run here --inner.hold 3 4 --named.one.limit 0.5 --inner.on True --inner.who me"
    options, rest = parsed(monkeypatch, arguments)
    assert options == Options(Path("here"), Inner(hold=(3, 4), on=True), {"one": Inner(limit=0.5)})
    assert rest == ["--inner.who", "me"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--inner.count many", "--inner.count takes a whole number, not many."),
        ("--inner.count=1.5", "--inner.count takes a whole number, not 1.5."),
        ("--inner.count", "--inner.count takes a whole number, and has no value."),
        ("--inner.count --inner.on True", "--inner.count takes a whole number, and has no value."),
        ("--inner.hold 3", "--inner.hold takes 2 values, each a whole number, not 3."),
        ("--inner.hold 3 x", "--inner.hold takes 2 values, each a whole number, not 3 x."),
        ("--inner.how well", "--inner.how takes one of slow, fast, not well."),
        ("--inner.limit low", "--inner.limit takes a number, or None, not low."),
        ("--inner.on perhaps", "--inner.on takes True or False, not perhaps."),
        ("--named.one.count many", "--named.one.count takes a whole number, not many."),
    ],
)
def test_a_wrong_value_is_a_sentence_with_flag_type_and_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str, sentence: str
) -> None:
    with pytest.raises(UserError) as error:
        parsed(monkeypatch, f"--run x {arguments}")
    assert str(error.value) == sentence
    assert capsys.readouterr() == ("", "")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^--run has to be given: it takes a path\.$"):
        parsed(monkeypatch, "--inner.count 2")


def test_help_is_still_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(monkeypatch, "--help")
    assert not ended.value.code
    assert "--inner.count INT" in capsys.readouterr().out


def test_every_type_of_an_option_has_words() -> None:
    said = {field.name: words(field.type) for field in dataclasses.fields(TaskConfig)}
    assert said["crop"] == "4 values, each a whole number, or None"
    assert said["squash"] == "any number of values, each one of tanh, half, clip"
    assert said["score_env"] == "text, or None"
    assert said["fps"] == "a number"
