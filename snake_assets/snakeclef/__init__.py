"""The competition: its files, its venom list, its metric and its submission format."""
