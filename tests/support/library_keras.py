"""The models of keras.applications, to be timed beside ours: with logits and without weights."""

from __future__ import annotations

import keras


def resnet50() -> keras.Model:
    return keras.applications.ResNet50(weights=None, classifier_activation=None)


def mobilenet() -> keras.Model:
    return keras.applications.MobileNet(weights=None, classifier_activation=None)


def vgg16() -> keras.Model:
    return keras.applications.VGG16(weights=None, classifier_activation=None)
