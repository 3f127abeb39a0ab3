"""What several tests share: fakes, graphs, entries, pairs."""
