"""What remedies are called in sentences and figures, where a table of runs has `initialisation=orthogonal`."""

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
    parts = variant.split(", ") if variant else []
    return " + ".join(_word(part, alone=len(parts) == 1) for part in parts)


def _word(part: str, *, alone: bool) -> str:
    field, _, value = part.partition("=")
    if field == "initialisation":
        return f"{value.capitalize() if value == 'dirac' else value}{' weights' * alone}"
    if field == "shortcut_scale":
        return f"shortcut times {value}"
    if field == "shortcut":
        return f"option {value}"
    return WORDS.get(part, part)
