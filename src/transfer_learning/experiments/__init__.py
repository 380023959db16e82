"""git and DVC: revisions, dvc.lock, results of an experiment, composing settings, sweeps."""
