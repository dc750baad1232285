"""The chart of one report after the other, and the record behind it."""

import io
from pathlib import Path

import pytest
from PIL import Image

from snake_assets.learning.errors import LearningError
from snake_assets.learning.evaluation.history import HISTORY_FILE, Scored, read_history, write_history
from snake_assets.plots.charts import history_chart_png
from snake_assets.snakeclef.metric import score

SCORES = score([3, 7, 7], [3, 7, 3], {3: False, 7: True})


def history(reports: int) -> tuple[Scored, ...]:
    told = {name: getattr(SCORES, name) for name in ("track1", "track2", "f1", "accuracy")}
    told |= {"date": "2024-05-06T07:08:09+00:00", "observations": 3}
    return tuple(Scored(classifier=f"{number:064x}", **told) for number in range(reports))


def test_a_history_comes_back_from_its_file(tmp_path: Path) -> None:
    assert read_history(tmp_path) == ()
    write_history(history(3), tmp_path)
    assert read_history(tmp_path) == history(3)
    assert history(3)[0].track1 == SCORES.track1


def test_a_damaged_history_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / HISTORY_FILE).write_text('[{"date": 1}]')
    with pytest.raises(LearningError, match="remove it"):
        read_history(tmp_path)


def test_charts_of_one_and_of_many_reports() -> None:
    one, two, many = (history_chart_png(history(reports)) for reports in (1, 2, 80))
    assert len({one, two, many}) == 3
    assert {Image.open(io.BytesIO(png)).size for png in (one, two, many)} == {(820, 360)}
    assert history_chart_png(history(2)) == two
