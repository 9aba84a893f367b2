"""What a figure asks of the frames that it is drawn from."""

import pandas as pd


def one_variant(frame: pd.DataFrame) -> None:
    """Raise ValueError where a frame holds several variants, whose mean would be of nothing."""
    names = sorted({str(name) for name in frame["variant"]}) if "variant" in frame else []
    if len(names) > 1:
        raise ValueError(
            f"the frame holds {len(names)} variants ({'; '.join(names)}): choose one, such as "
            f"frame[frame['variant'] == {names[-1]!r}]"
        )
