import pytest

from study.data import derived_seed


def test_value_is_fixed():
    # First 8 bytes of sha256(b'[0,"order",3]') without the last bit: must never change, or old runs can't be re-made.
    assert derived_seed(0, "order", 3) == 0x5E20E7E2F1DD44E2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((0, "a"), (1, "a")),
        ((0, "a"), (0, "b")),
        ((0, "a", 1), (0, "a", 2)),
        ((0, "a", 12), (0, "a1", 2)),
        ((0, "1"), (0, 1)),
    ],
)
def test_every_part_of_the_name_counts(one, other):
    assert derived_seed(*one) != derived_seed(*other)


def test_fits_a_signed_64_bit_number():
    seeds = [derived_seed(seed, "word") for seed in range(2000)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62  # and uses the range
