"""What every head has in common: its name in the weights' files, and its number of logits."""

HEAD = "head"


def logits(classes: int) -> int:
    """Number of logits: one for two classes, whose sigmoid is the probability of class 1; else one a class."""
    return 1 if classes == 2 else classes
