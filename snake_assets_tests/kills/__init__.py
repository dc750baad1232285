"""The whole job, a fine-tuning or the inbox, killed at random:  python -m snake_assets_tests.kills."""
