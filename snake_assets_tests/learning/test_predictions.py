"""Predictions as a table for a person."""

import numpy as np

from snake_assets.learning.predictions import Predictions


def test_a_ranking_has_a_row_for_each_observation_and_rank() -> None:
    found = Predictions(
        observation_id=["x", "y"],
        class_id=np.array([7, 3], dtype=np.int32),
        probability=np.array([0.4, 0.9], dtype=np.float32),
        p_venomous=np.array([0.4, 0.1], dtype=np.float32),
        top5_class_id=np.array([[3, 7], [3, 7]], dtype=np.int32),
        top5_probability=np.array([[0.6, 0.4], [0.9, 0.1]], dtype=np.float32),
        photos=np.array([2, 1], dtype=np.int32),
    )
    table = found.ranking({3: "Aus albus"})
    assert table["observation_id"].to_list() == ["x", "x", "y", "y"]
    assert table["rank"].to_list() == [1, 2, 1, 2]
    assert table["species"].to_list() == ["Aus albus", "7", "Aus albus", "7"]
    np.testing.assert_allclose(table["probability"], [0.6, 0.4, 0.9, 0.1], rtol=1e-6)
    np.testing.assert_allclose(table["p_venomous"], [0.4, 0.4, 0.1, 0.1], rtol=1e-6)
