import json

import numpy as np
import pytest

from descant.core.errors import UserError
from descant.report import records


def rewrite(path, change):
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


def test_a_whole_run_is_read_without_problems(fabricate):
    record = records.read(fabricate(iterations=12, seeds=3))
    assert record.problems == {}
    assert record.name == "guided"
    assert record.config["domain"] == "cloud"
    assert record.config["algorithm.base.clip"] == "0.2"
    assert record.metrics.series["return"].shape == (12, 3)
    assert record.checkpoints == (12,)
    assert record.episode["best-fit"]["queue"].shape == (288,)


def test_policies_come_best_first(fabricate):
    evaluation = records.read(fabricate()).evaluation
    assert evaluation is not None
    means = [p.mean for p in evaluation.policies]
    assert means == sorted(means, reverse=True)
    assert evaluation.learned is not None and evaluation.learned.difference is None
    assert evaluation.rules[0].name == "most-efficient-first"
    assert evaluation.find("Best Fit") is evaluation.find("best_fit") is not None


def test_a_torn_last_line_loses_one_row(fabricate):
    run = fabricate(iterations=5)
    text = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(text[:-40])
    record = records.read(run)
    assert record.metrics.iteration.tolist() == [1, 2, 3, 4]
    assert "last line of metrics.jsonl is torn" in record.problems["metrics.jsonl"]


def test_unreadable_lines_are_counted_and_located(fabricate):
    run = fabricate(iterations=4)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    lines[1], lines[2] = "{", '{"iteration": null}'
    (run / "metrics.jsonl").write_text("\n".join(lines))
    record = records.read(run)
    assert record.metrics.iteration.tolist() == [1, 4]
    assert "2 lines of 4" in record.problems["metrics.jsonl"]
    assert "line 2" in record.problems["metrics.jsonl"]


def test_a_row_written_twice_counts_as_written_last(tmp_path):
    rows = [{"iteration": 1, "return": [1.0]}, {"iteration": 1, "return": [2.0]}]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert records.read(tmp_path).metrics.series["return"].tolist() == [[2.0]]


def test_null_ragged_and_scalar_values_become_gaps(tmp_path):
    rows = [
        {"iteration": 1, "return": [1, None, "x"]},
        {"iteration": 2, "return": 2},
        {"iteration": 3, "return": [1e300, True, float("nan")]},
        {"iteration": 4},
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = records.read(tmp_path).metrics.series["return"]
    nan = np.nan
    expected = [[1, nan, nan], [2, nan, nan], [nan, nan, nan], [nan, nan, nan]]
    np.testing.assert_array_equal(found, expected)


def test_an_empty_folder_says_what_is_missing(tmp_path):
    problems = records.read(tmp_path).problems
    assert set(problems) == {
        *("config.toml", "run.json", "metrics.jsonl", "timing.jsonl"),
        *("evaluation.json", "episode.json", "checkpoints"),
    }
    assert problems["config.toml"] == "There is no config.toml."


def test_damaged_json_is_located(tmp_path):
    (tmp_path / "run.json").write_text('{"format": 1,\n "command": [}')
    (tmp_path / "evaluation.json").write_text("[" * 100_000)
    (tmp_path / "episode.json").write_text("[]")
    problems = records.read(tmp_path).problems
    assert problems["run.json"] == "run.json is damaged: not JSON at line 2, column 14."
    assert "nested too deeply" in problems["evaluation.json"]
    assert "an object was expected" in problems["episode.json"]


def test_policies_without_a_mean_are_left_out_and_counted(fabricate):
    run = fabricate()
    rewrite(run / "evaluation.json", lambda e: e["policies"][1].update(mean=None))
    record = records.read(run)
    assert record.evaluation is not None and record.evaluation.find("best-fit") is None
    assert "1 of 7 policy rows had no name" in record.problems["evaluation.json"]


def test_differences_to_another_policy_are_not_taken_for_the_learned_one(fabricate):
    run = fabricate()
    rewrite(run / "evaluation.json", lambda e: e.update(reference="random"))
    record = records.read(run)
    assert record.evaluation is not None
    assert all(p.difference is None for p in record.evaluation.policies)
    assert "do not refer to the learned policy" in record.problems["evaluation.json"]


def test_alignment_is_a_share(fabricate):
    run = fabricate()
    rewrite(
        run / "evaluation.json", lambda e: e["alignment"]["policies"]["learned"].update(queue=97)
    )
    record = records.read(run)
    assert record.evaluation is not None and list(record.evaluation.alignment) == ["best-fit"]
    assert "alignment outside 0 to 1" in record.problems["evaluation.json"]


def test_quarantined_checkpoints_are_counted(fabricate):
    run = fabricate(iterations=7)
    (run / "checkpoints" / "quarantine-00000006-1").mkdir()
    record = records.read(run)
    assert (record.checkpoints, record.quarantined) == ((7,), 1)


def test_a_missing_folder_names_the_nearest(fabricate):
    run = fabricate("guided")
    with pytest.raises(UserError, match="Did you mean 'guided'"):
        records.read(run.with_name("guide"))
