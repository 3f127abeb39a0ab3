"""LeNet, AlexNet, ZFNet, Network in Network and VGG."""
