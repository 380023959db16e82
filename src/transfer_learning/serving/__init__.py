"""The model for people's photos: predictor, overlays, what MLflow serves."""
