"""Whether a world is like its log: what is compared, how far apart it is, and what follows."""
