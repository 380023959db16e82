"""How weights come about: classifier, optimizers, sampling, inputs, epochs, progress, unfreezing, history.csv."""
