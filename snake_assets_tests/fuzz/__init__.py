"""Valid files, changed at random: each is read or refused by name, in bounded time and memory."""
