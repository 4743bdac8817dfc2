from worldmodels.compare.measures import table_rows
from worldmodels.compare.report import in_short
from worldmodels.compare.rows import Result, rows_of_table
from worldmodels.compare.statistics import Estimate


def found(error: float, score: float | None) -> dict:
    measures = {
        "reconstruction": {"vision": {"frame": error}, "average_frame": {"frame": 0.5}},
        "samples": {"real": {"kid": 0.1, "precision": 0.9, "recall": 0.8}},
        "prediction": {"nll": 1.0, "ahead": {"1": {"pixel": 3.0, "pixel_no_change": 7.0}}},
        "scores": {} if score is None else {"real": score, "random policy": -30.0},
    }
    if score is None:
        del measures["reconstruction"]["vision"]
        measures["prediction"] = None
    return measures


def test_rows_hold_every_seed_in_its_unit() -> None:
    results = [Result("a", 1, found(0.002, 10)), Result("b", 1, found(0.004, 12)), Result("a", 2, found(0.003, 20))]
    rows = {row.measure.name: row for row in rows_of_table(None, ["real"], ["a", "b"], results)}
    error = rows["reconstruction.vision.frame"]
    assert error.values == {"a": [2.0, 3.0], "b": [4.0]}
    assert error.reference == 500
    assert error.estimates["a"].mark == "best"
    assert rows["scores.real"].values == {"a": [10, 20], "b": [12]}
    assert rows["scores.real"].reference == -30
    assert rows["prediction.ahead.1.pixel"].reference == 7
    assert {row.mark for row in rows["prediction.nll"].estimates.values()} == {""}


def test_a_model_that_cannot_be_v_has_gaps() -> None:
    results = [Result("a", 1, found(0.002, 10)), Result("blind", 1, found(0.004, None))]
    rows = {row.measure.name: row for row in rows_of_table(None, ["real"], ["a", "blind"], results)}
    assert rows["scores.real"].values == {"a": [10], "blind": []}
    assert set(rows["reconstruction.vision.frame"].estimates) == {"a"}


def test_what_nothing_measured_is_no_row() -> None:
    rows = rows_of_table(None, ["real"], ["a"], [Result("a", 1, found(0.002, 10))])
    assert not any(row.measure.name.startswith(("probes", "samples.prior")) for row in rows)


def test_names_of_rows_differ() -> None:
    names = [measure.name for measure in table_rows("the car", (), ["real", "dream"])]
    assert len(set(names)) == len(names)


def test_a_cell() -> None:
    assert in_short(None) == "-"
    assert in_short(Estimate(1, 1.2345, None, "tied")) == "1.23 ~"
    assert in_short(Estimate(3, 1.2345, 0.0567, "best")) == "1.23 ± 0.057 *"
    assert in_short(Estimate(3, 123.45, 0.0567)) == "123 ± 0.057"
