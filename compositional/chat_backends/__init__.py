"""Models that answer conversations: behind a server's address, or in this process."""
