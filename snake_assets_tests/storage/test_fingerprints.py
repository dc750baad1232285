"""Fingerprints: equal for equal values, different for different ones."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snake_assets.storage import StorageError
from snake_assets.storage.fingerprints import fingerprint
from snake_assets.storage.paths import local_root

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=5), JSON)
def test_other_values_change_it_and_the_order_of_keys_does_not(value, other):
    assert fingerprint(value) == fingerprint(dict(reversed(value.items()))) != fingerprint([value])
    if repr(value) != repr(other) and value != other:
        assert fingerprint(value) != fingerprint(other)


@pytest.mark.parametrize("text", ["gs://bucket/x", "s3://x", " ", "a\0b"])
def test_roots_that_are_no_folder_name_the_variable_and_others_are_absolute(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(StorageError, match="SNAKE_STORE"):
        local_root(text, "SNAKE_STORE")
    monkeypatch.chdir(tmp_path)
    assert local_root("a b/ü", "SNAKE_STORE") == tmp_path / "a b" / "ü"
