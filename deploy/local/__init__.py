"""`python -m deploy.local`: code server, webserver and daemon as plain processes, on PostgreSQL."""
