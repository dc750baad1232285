"""Ways to run the platform beyond `make dev`: one machine, containers, Kubernetes, Google Cloud."""
