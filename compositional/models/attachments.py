"""What a method hangs onto a frozen backbone beside rows and adapters."""

from typing import Any, Protocol

from torch import Tensor


class Attachment(Protocol):
    """Something that changes what a model computes, and can be taken off again.

    Detached, it leaves the model bit for bit as it was.
    """

    def state_dict(self) -> dict[str, Tensor]:
        """Return every tensor by which the model differs from its backbone."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return what else its answers depend on, as JSON holds it.

        Equal tensors under other settings compute otherwise. Where there are no tensors they do
        not count: the model is its backbone.
        """
        ...
