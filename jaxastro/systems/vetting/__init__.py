"""Transit vetting: planet or false positive."""
