"""What real frameworks raise, and the sentence that is made of it; every line is short."""

from __future__ import annotations

RAISED = {
    "the layer of a scripted PyTorch model": (
        "RuntimeError",
        (
            "The following operation failed in the TorchScript interpreter.\n"
            "Traceback of TorchScript (most recent call last):\n"
            '  File "/models/nets.py", line 16, in forward\n'
            "    def forward(s,x): return s.b(s.a(x))\n"
            "                             ~~~ <--- HERE\n"
            '  File "/packages/torch/nn/modules/linear.py", line 134, in forward\n'
            "        Runs the forward pass.\n"
            '        """\n'
            "        return F.linear(input, self.weight, self.bias)\n"
            "               ~~~~~~~~ <--- HERE\n"
            "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x4 and 5x6)\n"
        ),
        ("RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x4 and 5x6)"),
    ),
    "what TorchScript cannot compile": (
        "RuntimeError",
        (
            "\n"
            "'int' object has no attribute or method 'foo_bar'.:\n"
            '  File "/models/nets.py", line 25\n'
            "def bad(x:int):\n"
            "    return x.foo_bar()\n"
            "           ~~~~~~~~~ <--- HERE\n"
        ),
        ("RuntimeError: 'int' object has no attribute or method 'foo_bar'.:"),
    ),
    "weights of another PyTorch model": (
        "RuntimeError",
        (
            "Error(s) in loading state_dict for Linear:\n"
            '\tMissing key(s) in state_dict: "bias". \n'
            '\tUnexpected key(s) in state_dict: "foo". \n'
            "\tsize mismatch for weight: copying a param with shape torch.Size([3, 3]) from chec"
            "kpoint, the shape in current model is torch.Size([4, 3])."
        ),
        ('RuntimeError: Missing key(s) in state_dict: "bias".'),
    ),
    "a PyTorch operator without its argument": (
        "RuntimeError",
        (
            "Overloaded torch operator invoked from Python failed to match any schema:\n"
            "aten::conv2d() is missing value for argument 'weight'. Declaration: aten::conv2d(T"
            "ensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=[1, 1], SymInt[2] "
            "padding=[0, 0], SymInt[2] dilation=[1, 1], SymInt groups=1) -> Tensor\n"
            "\n"
            "aten::conv2d() is missing value for argument 'weight'. Declaration: aten::conv2d.p"
            "adding(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=[1, 1], st"
            'r padding="valid", SymInt[2] dilation=[1, 1], SymInt groups=1) -> Tensor\n'
            "\n"
        ),
        (
            "RuntimeError: aten::conv2d() is missing value for argument 'weight'. Declaration: "
            "aten::conv2d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=[1, "
            "1], SymInt[2] padding=[0, 0], SymInt[2] dilation=[1, 1], SymInt groups=1) -> Tenso"
            "r"
        ),
    ),
    "a layer that torch.compile traces": (
        "TorchRuntimeError",
        (
            "RuntimeError when making fake tensor call\n"
            "  Explanation: Dynamo failed to run FX node with fake tensors: call_function <buil"
            "t-in function linear>(*(FakeTensor(..., size=(2, 4), grad_fn=<AddmmBackward0>), Pa"
            "rameter(FakeTensor(..., size=(6, 5), requires_grad=True)), Parameter(FakeTensor(.."
            "., size=(6,), requires_grad=True))), **{}): got RuntimeError('a and b must have sa"
            "me reduction dim, but got [2, 4] X [5, 6].')\n"
            "  Hint: Your code may result in an error when running in eager. Please double chec"
            "k that your code doesn't contain a similar error when actually running eager/uncom"
            "piled. You can do this by removing the `torch.compile` call, or by using `torch.co"
            'mpiler.set_stance("force_eager")`. \n'
            "\n"
            "  Developer debug context: \n"
            "\n"
            " For more details about this graph break, please visit: https://meta-pytorch.githu"
            "b.io/compile-graph-break-site/gb/gb4315.html\n"
            "\n"
            "from user code:\n"
            '   File "/models/nets.py", line 16, in forward\n'
            "    def forward(s,x): return s.b(s.a(x))\n"
            "                             ^^^^^^^^^^^\n"
            '  File "/packages/torch/nn/modules/linear.py", line 134, in forward\n'
            "    return F.linear(input, self.weight, self.bias)\n"
            "           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
            "\n"
            "Set TORCHDYNAMO_VERBOSE=1 for the internal stack trace (please do this especially "
            "if you're reporting a bug to PyTorch). For even more developer context, set TORCH_"
            'LOGS="+dynamo"\n'
        ),
        (
            "TorchRuntimeError: RuntimeError('a and b must have same reduction dim, but got [2,"
            " 4] X [5, 6].')"
        ),
    ),
    "a branch that torch.compile cannot trace": (
        "Unsupported",
        (
            "Data-dependent branching\n"
            "  Explanation: Detected data-dependent branching (e.g. `if my_tensor.sum() > 0:`)."
            " Dynamo does not support tracing dynamic control flow.\n"
            "\n"
            "      The branch condition involves a tensor computed as follows:\n"
            '        # File "/models/nets.py", line 33, in forward, code: if x.sum()>0: return '
            "x\n"
            "        gt = gt(sum_1, 0)\n"
            "    \n"
            "  Hint: For the common pattern `if tensor_cond: x = transform(x)` (e.g. clamping i"
            "nf/nan values), consider making the code branchless by always applying the transfo"
            "rm. Operations like torch.clamp, torch.nan_to_num, and torch.where are typically n"
            "o-ops on well-behaved inputs and compile without graph breaks.\n"
            "  Hint: This graph break is fundamental - it is unlikely that Dynamo will ever be "
            "able to trace through your code. Consider finding a workaround.\n"
            "  Hint: Use `torch.cond` to express dynamic control flow.\n"
            "\n"
            "  Developer debug context: attempted to jump with TensorVariable()\n"
            "\n"
            " For more details about this graph break, please visit: https://meta-pytorch.githu"
            "b.io/compile-graph-break-site/gb/gb0170.html\n"
            "\n"
            "from user code:\n"
            '   File "/models/nets.py", line 33, in forward\n'
            "    if x.sum()>0: return x\n"
            "       ^^^^^^^^^^^^^^^^^^^\n"
            "\n"
            "Set TORCHDYNAMO_VERBOSE=1 for the internal stack trace (please do this especially "
            "if you're reporting a bug to PyTorch). For even more developer context, set TORCH_"
            'LOGS="+dynamo"\n'
        ),
        (
            "Unsupported: Detected data-dependent branching (e.g. `if my_tensor.sum() > 0:`). D"
            "ynamo does not support tracing dynamic control flow."
        ),
    ),
    "an error raised where torch.compile traces": (
        "Unsupported",
        (
            "Observed exception\n"
            "  Explanation: Dynamo found no exception handler at the top-level compiled functio"
            "n when encountering an exception. Exception will propagate outside the compiled re"
            "gion.\n"
            "  Hint: Your code may result in an error when running in eager. Please double chec"
            "k that your code doesn't contain a similar error when actually running eager/uncom"
            "piled. You can do this by removing the `torch.compile` call, or by using `torch.co"
            'mpiler.set_stance("force_eager")`. \n'
            "  Hint: It may be possible to write Dynamo tracing rules for this code. Please rep"
            "ort an issue to PyTorch if you encounter this graph break often and it is causing "
            "performance issues.\n"
            "\n"
            "  Developer debug context: raised exception ValueError('own words\\nand more')\n"
            "\n"
            " For more details about this graph break, please visit: https://meta-pytorch.githu"
            "b.io/compile-graph-break-site/gb/gb0088.html\n"
            "\n"
            "from user code:\n"
            '   File "/models/nets.py", line 42, in forward\n'
            '    raise ValueError("own words\\nand more")\n'
            "\n"
            "Set TORCHDYNAMO_VERBOSE=1 for the internal stack trace (please do this especially "
            "if you're reporting a bug to PyTorch). For even more developer context, set TORCH_"
            'LOGS="+dynamo"\n'
        ),
        ("Unsupported: ValueError('own words\\nand more')"),
    ),
    "a backend of torch.compile": (
        "BackendCompilerFailed",
        (
            "backend='backend' raised:\n"
            "RuntimeError: compiler is broken\n"
            "\n"
            "Set TORCHDYNAMO_VERBOSE=1 for the internal stack trace (please do this especially "
            "if you're reporting a bug to PyTorch). For even more developer context, set TORCH_"
            'LOGS="+dynamo"\n'
        ),
        ("BackendCompilerFailed: RuntimeError: compiler is broken"),
    ),
    "torch.compile without a compiler": (
        "InductorError",
        (
            "InvalidCxxCompiler: No working C++ compiler found in torch._inductor.config.cpp.cx"
            "x: (None, '/bin/false')\n"
            "\n"
            "Set TORCHDYNAMO_VERBOSE=1 for the internal stack trace (please do this especially "
            "if you're reporting a bug to PyTorch). For even more developer context, set TORCH_"
            'LOGS="+dynamo"\n'
        ),
        (
            "InductorError: InvalidCxxCompiler: No working C++ compiler found in torch._inducto"
            "r.config.cpp.cxx: (None, '/bin/false')"
        ),
    ),
    "a tf.function that cannot be traced": (
        "ValueError",
        (
            "in user code:\n"
            "\n"
            '    File "/models/nets.py", line 10, in g  *\n'
            "        def g(x): return tf.reshape(x,tf.constant([5,5])*tf.cast(tf.size(x)>0,tf.i"
            "nt32))\n"
            "\n"
            "    ValueError: Cannot reshape a tensor with 6 elements to shape [5,5] (25 element"
            "s) for '{{node Reshape}} = Reshape[T=DT_FLOAT, Tshape=DT_INT32](x, mul)' with inpu"
            "t shapes: [2,3], [2] and with input tensors computed as partial shapes: input[1] ="
            " [5,5].\n"
        ),
        (
            "ValueError: Cannot reshape a tensor with 6 elements to shape [5,5] (25 elements) f"
            "or '{{node Reshape}} = Reshape[T=DT_FLOAT, Tshape=DT_INT32](x, mul)' with input sh"
            "apes: [2,3], [2] and with input tensors computed as partial shapes: input[1] = [5,"
            "5]."
        ),
    ),
    "a TensorFlow graph that cannot be run": (
        "InvalidArgumentError",
        (
            "Graph execution error:\n"
            "\n"
            "Detected at node MatMul defined at (most recent call last):\n"
            '  File "/models/nets.py", line 17, in <module>\n'
            "\n"
            '  File "/models/nets.py", line 6, in cap\n'
            "\n"
            '  File "/models/nets.py", line 17, in <lambda>\n'
            "\n"
            '  File "/models/nets.py", line 16, in gm\n'
            "\n"
            "Matrix size-incompatible: In[0]: [2,3], In[1]: [2,3]\n"
            "\t [[{{node MatMul}}]] [Op:__inference_gm_30]"
        ),
        ("InvalidArgumentError: Matrix size-incompatible: In[0]: [2,3], In[1]: [2,3]"),
    ),
    "Python's code in a TensorFlow graph": (
        "InvalidArgumentError",
        (
            "Graph execution error:\n"
            "\n"
            "Detected at node EagerPyFunc defined at (most recent call last):\n"
            '  File "/models/nets.py", line 35, in <module>\n'
            "\n"
            '  File "/models/nets.py", line 6, in cap\n'
            "\n"
            '  File "/models/nets.py", line 35, in <lambda>\n'
            "\n"
            '  File "/models/nets.py", line 34, in pyf\n'
            "\n"
            "ValueError: own words\n"
            "Traceback (most recent call last):\n"
            "\n"
            '  File "/packages/tensorflow/python/ops/script_ops.py", line 267, in __call__\n'
            "    return func(device, token, args)\n"
            "           ^^^^^^^^^^^^^^^^^^^^^^^^^\n"
            "\n"
            '  File "/packages/tensorflow/python/ops/script_ops.py", line 145, in __call__\n'
            "    outputs = self._call(device, args)\n"
            "              ^^^^^^^^^^^^^^^^^^^^^^^^\n"
            "\n"
            '  File "/packages/tensorflow/python/ops/script_ops.py", line 152, in _call\n'
            "    ret = self._func(*args)\n"
            "          ^^^^^^^^^^^^^^^^^\n"
            "\n"
            '  File "/packages/tensorflow/python/autograph/impl/api.py", line 643, in wrapper\n'
            "    return func(*args, **kwargs)\n"
            "           ^^^^^^^^^^^^^^^^^^^^^\n"
            "\n"
            '  File "/models/generated.py", line 14, in inner\n'
            "    raise ag__.converted_call(ag__.ld(ValueError), ('own words',), None, fscope_1)"
            "\n"
            "\n"
            "ValueError: own words\n"
            "\n"
            "\n"
            "\t [[{{node EagerPyFunc}}]] [Op:__inference_pyf_104]"
        ),
        ("InvalidArgumentError: ValueError: own words"),
    ),
    "a TensorFlow operation": (
        "InvalidArgumentError",
        (
            "{{function_node __wrapped__MatMul_device_/job:localhost/replica:0/task:0/device:CP"
            "U:0}} Matrix size-incompatible: In[0]: [2,3], In[1]: [2,3] [Op:MatMul] name: "
        ),
        ("InvalidArgumentError: Matrix size-incompatible: In[0]: [2,3], In[1]: [2,3]"),
    ),
    "a Keras layer that raises": (
        "ValueError",
        (
            "Exception encountered when calling RL.call().\n"
            "\n"
            "\x1b[1mown words\n"
            "and more\x1b[0m\n"
            "\n"
            "Arguments received by RL.call():\n"
            "  • x=tf.Tensor(shape=(2, 3), dtype=float32)"
        ),
        ("ValueError: own words"),
    ),
    "a Keras layer on a symbolic tensor": (
        "ValueError",
        (
            "Exception encountered when calling RL.call().\n"
            "\n"
            "\x1b[1mCould not automatically infer the output shape / dtype of 'rl_1' (of type RL)."
            " Either the `RL.call()` method is incorrect, or you need to implement the `RL.comp"
            "ute_output_spec() / compute_output_shape()` method. Error encountered:\n"
            "\n"
            "own words\n"
            "and more\x1b[0m\n"
            "\n"
            "Arguments received by RL.call():\n"
            "  • args=('<KerasTensor shape=(None, 2, 3), dtype=float32, sparse=False, ragged=Fa"
            "lse, name=keras_tensor_8>',)\n"
            "  • kwargs=<class 'inspect._empty'>"
        ),
        ("ValueError: own words"),
    ),
    "a Keras layer in a TensorFlow graph": (
        "ValueError",
        (
            "Exception encountered when calling OP.call().\n"
            "\n"
            "\x1b[1mDimensions must be equal, but are 3 and 2 for '{{node nest_o_1/op_1_1/MatMul}}"
            " = MatMul[T=DT_FLOAT, grad_a=false, grad_b=false, transpose_a=false, transpose_b=f"
            "alse](data, data)' with input shapes: [2,3], [2,3].\x1b[0m\n"
            "\n"
            "Arguments received by OP.call():\n"
            "  • x=tf.Tensor(shape=(2, 3), dtype=float32)"
        ),
        (
            "ValueError: Dimensions must be equal, but are 3 and 2 for '{{node nest_o_1/op_1_1/"
            "MatMul}} = MatMul[T=DT_FLOAT, grad_a=false, grad_b=false, transpose_a=false, trans"
            "pose_b=false](data, data)' with input shapes: [2,3], [2,3]."
        ),
    ),
    "a Keras layer that cannot be made": (
        "TypeError",
        (
            "Error when deserializing class 'Conv2D' using config={'foo': 3}.\n"
            "\n"
            "Exception encountered: Conv2D.__init__() missing 2 required positional arguments: "
            "'filters' and 'kernel_size'"
        ),
        (
            "TypeError: Exception encountered: Conv2D.__init__() missing 2 required positional "
            "arguments: 'filters' and 'kernel_size'"
        ),
    ),
    "a branch that JAX cannot trace": (
        "TracerBoolConversionError",
        (
            "Attempted boolean conversion of traced array with shape bool[].\n"
            "The error occurred while tracing the function <lambda> at /models/nets.py:9 for ji"
            "t. This concrete value was not available in Python because it depends on the value"
            " of the argument x.\n"
            "See https://docs.jax.dev/en/latest/errors.html#jax.errors.TracerBoolConversionErro"
            "r"
        ),
        (
            "TracerBoolConversionError: Attempted boolean conversion of traced array with shape"
            " bool[]."
        ),
    ),
    "Python's code in a JAX function": (
        "JaxRuntimeError",
        (
            "INTERNAL: CpuCallback error calling callback: Traceback (most recent call last):\n"
            '  File "/models/nets.py", line 18, in <module>\n'
            '  File "/models/nets.py", line 6, in cap\n'
            '  File "/models/nets.py", line 17, in cb\n'
            '  File "/packages/jax/_src/traceback_util.py", line 195, in reraise_with_filtered_'
            "traceback\n"
            '  File "/packages/jax/_src/pjit.py", line 259, in cache_miss\n'
            '  File "/packages/jax/_src/pjit.py", line 139, in _run_python_pjit\n'
            '  File "/packages/jax/_src/pjit.py", line 1190, in _pjit_call_impl_python\n'
            '  File "/packages/jax/_src/profiler.py", line 420, in wrapper\n'
            '  File "/packages/jax/_src/interpreters/pxla.py", line 388, in __call__\n'
            '  File "/packages/jax/_src/callback.py", line 816, in _wrapped_callback\n'
            '  File "/packages/jax/_src/callback.py", line 226, in _callback\n'
            '  File "/packages/jax/_src/callback.py", line 96, in pure_callback_impl\n'
            '  File "/packages/jax/_src/callback.py", line 71, in __call__\n'
            '  File "/models/nets.py", line 16, in f\n'
            "ValueError: own words"
        ),
        ("JaxRuntimeError: ValueError: own words"),
    ),
    "memory that JAX asked for": (
        "JaxRuntimeError",
        ("RESOURCE_EXHAUSTED: Out of memory allocating 17592186044416 bytes."),
        ("JaxRuntimeError: RESOURCE_EXHAUSTED: Out of memory allocating 17592186044416 bytes."),
    ),
}
"""By what failed: the kind of the error, what it says, and how it is told."""
