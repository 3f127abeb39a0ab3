"""GoogLeNet and the Inception networks after it."""
