"""What the whole model makes of the test photos: metrics, predictions.csv, caveats, Grad-CAM."""
