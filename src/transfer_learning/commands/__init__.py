"""One file a command of src/cli.py: its arguments and what it prints."""
