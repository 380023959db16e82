"""What is drawn, and which figures evaluate draws."""
