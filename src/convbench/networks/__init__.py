"""What a network is, by integer arithmetic alone: layers, graph, shapes, counts."""
