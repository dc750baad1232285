"""The small package that tests of identification have, for the page's."""

from snake_assets_tests.identification.conftest import made  # noqa: F401 - a fixture
