"""What the files of one round are asked to hold, and how many examples of each number of calls."""

from collections.abc import Sequence
from dataclasses import dataclass

from compositional.errors import ConfigError
from compositional.tasks.composition import equal_shares, ratio_shares
from compositional.tasks.ranges import ToolRange


@dataclass(frozen=True)
class RoundRequest:
    """What the files of one round are asked to hold.

    Attributes:
        tools: Ranks of the tools that it teaches.
        samples_per_tool: Training rows of each tool that are used; None for all.
        train_size: One-call and composed training examples in all.
        train_max_calls: Calls of a training example at most.
        train_ratios: Shares of 2, 3, ... calls among composed ones; empty for equal shares.
        test_size: Test examples in all.
        test_max_calls: Calls of a test example at most.
        test_ratios: As `train_ratios`.
        test_one_call: Whether the test set holds one-call queries too.
    """

    tools: ToolRange
    samples_per_tool: int | None
    train_size: int
    train_max_calls: int
    train_ratios: tuple[float, ...]
    test_size: int
    test_max_calls: int
    test_ratios: tuple[float, ...]
    test_one_call: bool

    def train_shares(self, num_composed: int) -> dict[int, int]:
        """Return how many composed training examples have 2, 3, ... calls.

        Args:
            num_composed: Composed examples in all.

        Raises:
            ConfigError: If an example needs more calls than are allowed or tools there are.
        """
        self._check_ratios("train", self.train_ratios, self.train_max_calls)
        if self.train_max_calls == 1:
            return {}
        if self.train_ratios:
            shares = ratio_shares(num_composed, self.train_ratios)
        else:
            shares = equal_shares(num_composed, range(2, self.train_max_calls + 1))
        return self._fitting(shares, "train")

    def test_shares(self) -> dict[int, int]:
        """Return how many test examples have 1, 2, ... calls.

        Raises:
            ConfigError: If an example needs more calls than are allowed or tools there are.
        """
        self._check_ratios("test", self.test_ratios, self.test_max_calls)
        if self.test_max_calls == 1 and not self.test_one_call:
            raise ConfigError(
                "a test set without one-call queries needs test_max_function_calls of 2 or more"
            )
        shares = self._equal_shares(self.test_size, self.test_max_calls)
        if self.test_ratios:
            one_call = shares.get(1, 0)
            shares = {1: one_call} | ratio_shares(self.test_size - one_call, self.test_ratios)
        return self._fitting(shares, "test")

    def validation_shares(self, num_rows: int, num_tools: int) -> dict[int, int]:
        """Return how many validation examples have 1, 2, ... calls, in equal shares.

        There are as many examples as validation rows, `test_size` at most, and none of more calls
        than there are tools with such rows.

        Args:
            num_rows: Validation rows of all tools.
            num_tools: Tools that have some.
        """
        max_calls = max(1, min(self.test_max_calls, num_tools))
        return self._equal_shares(min(self.test_size, num_rows), max_calls)

    def _equal_shares(self, num_examples: int, max_calls: int) -> dict[int, int]:
        first = 1 if self.test_one_call or max_calls == 1 else 2
        return equal_shares(num_examples, range(first, max_calls + 1))

    def _fitting(self, shares: dict[int, int], split: str) -> dict[int, int]:
        most = max((calls for calls, n in shares.items() if n), default=0)
        if most > self.tools.num_tools:
            raise ConfigError(
                f"range {self.tools} holds {self.tools.num_tools} tools, too few for examples of "
                f"{most} calls of different tools: lower {split}_max_function_calls or widen the "
                "range"
            )
        return shares

    @staticmethod
    def _check_ratios(split: str, ratios: Sequence[float], max_calls: int) -> None:
        most = max((calls for calls, ratio in enumerate(ratios, start=2) if ratio), default=0)
        if most > max_calls:
            raise ConfigError(
                f"{split}_multi_tool_ratios give a share to examples of {most} calls and "
                f"{split}_max_function_calls is {max_calls}: raise it or shorten the list"
            )
