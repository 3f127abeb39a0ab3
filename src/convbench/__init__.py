"""convbench: the networks of the papers, proven and timed in PyTorch and Keras.

>>> import convbench
>>> convbench.architecture("lenet5").parameters
60000
"""

from convbench.architectures import ARCHITECTURES, architecture
from convbench.errors import ConvbenchError
from convbench.graph import Builder, Graph

__version__ = "0.1.0"

__all__ = ["ARCHITECTURES", "Builder", "ConvbenchError", "Graph", "__version__", "architecture"]
