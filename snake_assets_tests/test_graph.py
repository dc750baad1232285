"""The whole graph as it was last agreed on; `make snapshot` writes it anew after a change that is meant."""

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from snake_assets.definitions import defs
from snake_assets_tests.graph import described


@pytest.fixture
def agreed(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(JSONSnapshotExtension)


def test_the_graph_is_the_one_agreed_on(agreed: SnapshotAssertion):
    assert described(defs) == agreed(name="graph")
