"""Whether someone looks at the operations of a pass, and not at its result alone."""

import torch

_CAN_ASK_COMPILER = hasattr(torch.compiler, 'is_compiling')  # torch 2.1 has no such function


def is_observed() -> bool:
    """Whether the pass is compiled, traced, transformed or counted: then the method's plain operations have to be seen.

    A graph holds for other batches and temperatures than those it is made with, a transformation knows torch's own
    operators alone, and a dispatch mode, such as a counter of multiply-adds, is to find what the formulas say.
    """
    return (
        torch.jit.is_tracing()
        or (_CAN_ASK_COMPILER and torch.compiler.is_compiling())
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None
    )
