import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from study.train.checkpoint import load_checkpoint, save_checkpoint

CPU = torch.device("cpu")


def test_round_trip_keeps_values_and_memory_format(tmp_path: Path) -> None:
    weights = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    save_checkpoint(tmp_path / "deep" / "checkpoint.pt", {"weights": weights, "step": 3, "history": [{"a": 0.1}]})
    read = load_checkpoint(tmp_path / "deep" / "checkpoint.pt", CPU)
    assert read is not None
    assert torch.equal(read["weights"], weights)
    assert read["weights"].is_contiguous(memory_format=torch.channels_last)
    assert (read["step"], read["history"]) == (3, [{"a": 0.1}])
    assert load_checkpoint(tmp_path / "none.pt", CPU) is None


def test_a_write_that_fails_leaves_the_old_checkpoint_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1})

    def half(_values: Any, file: Any) -> None:
        file.write(b"half a checkpoint")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("study.train.checkpoint.torch.save", half)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path, CPU) == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_nothing_but_plain_values_is_unpickled(tmp_path: Path) -> None:

    # a pickle of a class of somebody else's must not be loaded
    torch.save({"step": Path("/")}, tmp_path / "checkpoint.pt")
    with pytest.raises(pickle.UnpicklingError, match=r"weights_only|Weights only"):
        load_checkpoint(tmp_path / "checkpoint.pt", CPU)
