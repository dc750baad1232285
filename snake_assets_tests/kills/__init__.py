"""The whole job, or the inbox, killed at random:  python -m snake_assets_tests.kills  (`make kills`)."""
