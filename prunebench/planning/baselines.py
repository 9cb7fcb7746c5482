"""The methods that a method is compared with at least."""

from __future__ import annotations

from prunebench.planning.methods import Method

UNSTRUCTURED, STRUCTURED = ("imp", "magnitude"), ("heads",)


def baselines(method: Method) -> list[str]:
    """The labels of the smallest honest comparison, without the method itself.

    They are the random masks with its counts, which show what its choice is worth, and the methods of its track that
    every new one has to beat: IMP and one-shot magnitude for weights, heads by their gradients for structures. A
    control is compared with the method that it controls, and with the baselines of that. The dense model, trained for
    as long, is part of every run.
    """
    base, registry = method.base, method.registry
    others = UNSTRUCTURED if base.info.track == "unstructured" else STRUCTURED
    texts = [base.label, f"random-pruning[of={base.label}]", *others]
    # The label of a control of IMP, say, does not name IMP, which is its default.
    labels = dict.fromkeys(Method(text, registry).label for text in texts)
    return [label for label in labels if label != method.label]
