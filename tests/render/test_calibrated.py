import shutil
from pathlib import Path

import pytest

from worldmodels.calibration import check_dream
from worldmodels.errors import UserError
from worldmodels.files import read_json, write_json
from worldmodels.render.calibrated import calibration_blocks
from worldmodels.render.document import Paragraph, Table
from worldmodels.runs import Run


@pytest.fixture
def run(tiny_run: Run, tmp_path: Path) -> Run:
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    return Run(tmp_path / "run", tiny_run.config)


def test_the_report_shows_the_tables_and_what_they_say(run: Run) -> None:
    check_dream(run)
    blocks = list(calibration_blocks(run))
    tables = [block for block in blocks if isinstance(block, Table)]
    players = ["player"] * 3
    assert [table.headings[0] for table in tables] == [
        *players, "steps ahead", "probability", "", "steps since then",
    ]  # fmt: skip
    assert "always 1" in [row[0] for row in tables[0].rows]
    said = [block.text for block in blocks if isinstance(block, Paragraph)]
    complaints = read_json(run.calibration.folder / "table.json")["complaints"]
    assert complaints
    assert set(complaints) < set(said)


def test_a_comparison_that_was_not_made_is_said_to_be_missing(tiny_run: Run) -> None:
    _, missing = calibration_blocks(tiny_run)
    assert "Not yet compared: run scripts/check_dream.py" in missing.text


def test_a_comparison_of_another_m_is_not_shown(run: Run) -> None:
    check_dream(run)
    summary = run.memory.summary()
    run.memory.finish({**summary, "trained": "anew"})
    _, told = calibration_blocks(run)
    assert "Not compared since M was trained anew: run scripts/check_dream.py" in told.text


@pytest.mark.parametrize("content", [{}, {"entries": 3}, {"memory": "x", "more": 1}])
def test_a_damaged_comparison_is_refused(run: Run, content: dict) -> None:
    run.calibration.folder.mkdir()
    write_json(run.calibration.folder / "table.json", content)
    with pytest.raises(UserError, match=r"table\.json"):
        list(calibration_blocks(run))
