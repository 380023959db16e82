"""Photo in, photo out: which files are photos, decoding, the parts of the split, augmentation."""
