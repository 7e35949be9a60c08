"""What has to be ready before a recording begins."""
