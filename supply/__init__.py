"""What the project installs: under which licences it stands, and whether holes in it are known."""
