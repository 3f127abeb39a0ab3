"""ResNet and the networks that grew out of it."""
