"""A run as Markdown and plots."""
