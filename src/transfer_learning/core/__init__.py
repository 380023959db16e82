"""What every room may use: errors, whole files and their digests, weights as HDF5, the main workspace."""
