"""MLflow: the store, what a run holds, recording while a stage trains and afterwards."""
