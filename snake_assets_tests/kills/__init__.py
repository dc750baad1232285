"""The whole job killed at random moments:  python -m snake_assets_tests.kills  (or `make kills`)."""
