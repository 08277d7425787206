"""The command line, one file per command; each adds itself with `register(app)`."""
