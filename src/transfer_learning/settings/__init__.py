"""Every setting once: its type, range and words; params.yaml read and checked; facts of the backbones."""
