"""What a playbook's learning did, counted: nothing is left out without a number."""

from dataclasses import dataclass


@dataclass
class Tally:
    """Counters over all lessons of a playbook.

    Attributes:
        questions: Questions that it learned from, each pass counted.
        right: Those of them that were right at the first try.
        replies: Replies of the back end to the three roles.
        usable: Replies that fitted their schema.
        repaired: Those of them that fitted after the model was asked again.
        skipped: Steps left out since two replies did not fit, or the prompt was over the window.
        added: Entries added.
        updated: Entries reworded.
        merged: Merges of two or more entries.
        deleted: Entries deleted for harming.
        refused: Operations that broke a rule and did nothing.
        folded: Entries that were duplicates.
        evicted: Entries that the budget of tokens dropped.
    """

    questions: int = 0
    right: int = 0
    replies: int = 0
    usable: int = 0
    repaired: int = 0
    skipped: int = 0
    added: int = 0
    updated: int = 0
    merged: int = 0
    deleted: int = 0
    refused: int = 0
    folded: int = 0
    evicted: int = 0

    def since(self, before: "Tally") -> "Tally":
        """Return what came after an earlier tally."""
        return Tally(**{name: value - vars(before)[name] for name, value in vars(self).items()})
