"""What tables call scores and figures, and how they explain them."""

from dataclasses import dataclass

from compositional.documents.scoring import FALSE_RECALL
from compositional.tasks.scoring import NO_CALL

SCORE_TITLES = {
    "tool_f1": "tool F1",
    "tool_f1_lenient": "tool F1, lenient",
    "argument_f1": "argument F1",
    "argument_f1_nocase": "argument F1, any case",
    "argument_f1_nonempty": "argument F1, with arguments",
    "slot_f1": "slot F1",
    "exact_match": "exact match",
    "exact_match_ordered": "exact match, ordered",
    "parse_error_rate": "parse error rate",
    "seed_tool_f1": "seed's tool F1",
    "seed_argument_f1": "seed's argument F1",
    "seed_exact_match": "seed's exact match",
    "seed_parse_error_rate": "seed's parse error rate",
    NO_CALL: "answered by no call",
    "choice_accuracy": "choice accuracy",
    "choice_accuracy_sum": "choice accuracy by sums",
    "answer_f1": "answer F1",
    "answer_match": "exact match",
    FALSE_RECALL: "false recall",
}

SCORE_MEANINGS = {
    "tool_f1": "2 x right / (expected + predicted) over the multiset of tool names, averaged over "
    "examples.",
    "tool_f1_lenient": "The same, where a readable name counts although its arguments do not "
    "parse.",
    "argument_f1": "2 x right / (expected + predicted) calls; a call is right when tool and all "
    "arguments are.",
    "argument_f1_nocase": "The same with strings compared in lower case.",
    "argument_f1_nonempty": "Argument F1 over the examples whose expected calls all have "
    "arguments.",
    "slot_f1": "2 x right / (expected + predicted) over (tool, argument, value) slots of paired "
    "calls.",
    "exact_match": "Share of examples whose calls are all right, in any order, and no other.",
    "exact_match_ordered": "The same, in order.",
    "parse_error_rate": "Share of examples that did not parse; they score 0 on all of the above.",
    "seed_tool_f1": "The seed's own figures: over sets, arguments as sorted JSON without their "
    "tool.",
    "seed_argument_f1": "See the seed's tool F1.",
    "seed_exact_match": "See the seed's tool F1.",
    "seed_parse_error_rate": "Unparsed calls per example; may exceed 1.",
    "choice_accuracy": "Share of questions whose right answer is the likeliest of four by mean "
    "log-likelihood a token; chance is 0.25.",
    "choice_accuracy_sum": "The same by the sum over the answer's tokens.",
    "answer_f1": "F1 of the words of a generated answer with those of the right one, after SQuAD's "
    "normalisation; the best of all right answers.",
    "answer_match": "Share of generated answers that equal a right one, normalised.",
    FALSE_RECALL: "Share of answers to questions about documents that were not taught which equal "
    "an answer about a taught one, normalised.",
}


@dataclass(frozen=True)
class FigureLabel:
    """How a figure of the matrix is shown.

    Attributes:
        title: Head of its column.
        formula: What it is, R[t, i] being the score on round i's test set after round t.
        source: Where the formula is from.
        needs: What has to be run for it where an experiment lacks it; empty for nothing more.
    """

    title: str
    formula: str
    source: str
    needs: str = ""


FIGURES = {
    "average_accuracy": FigureLabel(
        "average accuracy", "mean_i R[T, i], the last row", "Lopez-Paz and Ranzato 2017"
    ),
    "backward_transfer": FigureLabel(
        "backward transfer",
        "sum_{i<T} (R[T, i] - R[i, i]) / (T - 1); below 0: past rounds got worse",
        "Lopez-Paz and Ranzato 2017",
    ),
    "forgetting": FigureLabel(
        "forgetting",
        "sum_{i<T} (max_{i<=l<T} R[l, i] - R[T, i]) / (T - 1); above 0: past rounds got worse",
        "Chaudhry et al. 2018",
    ),
    "diagonal_mean": FigureLabel(
        "diagonal mean", "mean_i R[i, i], each round right after it was taught", "-"
    ),
    "average_over_rounds": FigureLabel(
        "average over rounds", "mean_t mean_{i<=t} R[t, i], t >= 1", "Rebuffi et al. 2017"
    ),
    "forward_transfer": FigureLabel(
        "forward transfer",
        "sum_{i>=2} (R[i-1, i] - R[0, i]) / (T - 1)",
        "Lopez-Paz and Ranzato 2017",
        "the cell above each diagonal cell (evaluation.next_round) and row 0",
    ),
    "learning_gap": FigureLabel(
        "learning gap",
        "mean_i (R[i, i] - S_i), S_i the method taught round i alone",
        "Zhao et al. 2024",
        "an oracle run of the method",
    ),
    "intransigence": FigureLabel(
        "intransigence",
        "mean_t (J_t - R[t, t]), J_t the method taught rounds 1..t jointly",
        "Chaudhry et al. 2018",
        "a joint run of the method",
    ),
}
"""Figures of the tables of methods, in their order."""

RETENTION_FORMULA = (
    "mean_i R[i+a, i] / R[i, i] over the rounds i with R[i, i] > 0, a the rounds since"
)

NOT_MEASURED = "not measured"
NOT_SHOWN = "-"


def row_title(row: int) -> str:
    """Return what a row of the matrix is called: `before`, `after round 1`."""
    return f"after round {row}" if row else "before"


def capitalised(text: str) -> str:
    """Return a text with its first letter as a capital and the rest as it is."""
    return text[:1].upper() + text[1:]
