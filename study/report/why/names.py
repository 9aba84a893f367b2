"""What remedies are called in sentences and figures, where a table of runs has `initialisation=orthogonal`."""

from study.verdict.variant import Variant

WORDS = {
    "batch_norm=none": "no batch norm",
    "preactivation=True": "pre-activation",
    "scaling=rezero": "ReZero",
    "scaling=skipinit": "SkipInit",
    "scaling=fixup": "Fixup",
    "activation=tanh": "tanh",
    "activation=tat": "TAT",
    "activation=dks": "DKS",
}


def in_words(variant: str) -> str:
    """Return a variant as people call it: ``orthogonal weights``, ``no batch norm + delta-orthogonal + DKS``.

    What isn't known stays as it is.
    """
    fields = Variant.parse(variant)
    return " + ".join(_word(field, value, alone=len(fields) == 1) for field, value in fields.items())


def _word(field: str, value: str, *, alone: bool) -> str:
    if field == "initialisation":
        return f"{value.capitalize() if value == 'dirac' else value}{' weights' * alone}"
    if field == "shortcut_scale":
        return f"shortcut times {value}"
    if field == "shortcut":
        return f"option {value}"
    return WORDS.get(f"{field}={value}", f"{field}={value}")
