"""Whether each strategy does what it says, on a real model: a milestone a strategy."""
