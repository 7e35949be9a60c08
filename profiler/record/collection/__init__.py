"""What is read while a recording goes on, and at its end."""
