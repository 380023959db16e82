"""Transfer learning and fine-tuning: the library behind the stages of dvc.yaml."""
