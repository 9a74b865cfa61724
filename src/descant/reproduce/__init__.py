"""Published experiments made again, with the published numbers beside ours."""
