"""What the tests share and is no test: `tests/` is on the path, so it is `support` from any folder of tests."""
