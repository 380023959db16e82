"""What people type: a module for each command, with `configure(parser)` and `run(arguments)`.

src/cli.py imports the one that is called. At its top a module imports only what its help needs, so that help comes at
once.
"""
