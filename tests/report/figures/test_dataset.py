import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from study.report import write_data_figures
from study.report.data_section import draw_data
from study.report.figures import dataset as data_figures
from study.report.figures.sizes import bin_edges, joint_figure, split_sizes
from study.report.figures.style import as_text, new_figure

from ..data import make_record, make_table

KINDS = ("png", "svg", "pdf", "csv")
RANDOM = np.random.default_rng(0)


def test_outlying_sizes_are_named_and_left_out():
    # Kaggle's Dogs vs Cats has two photographs twice as large as all others.
    height, width = np.tile([300, 370, 420], 40), np.tile([320, 450, 499], 40)
    table = make_table([*height, 768, 702], [*width, 1023, 1050])
    data = split_sizes(table)
    assert data.outlying.to_numpy().tolist() == [["photos/120.jpg", 768, 1023], ["photos/121.jpg", 702, 1050]]
    assert len(data.drawn) == 120
    assert len(table) == 122
    assert data.common_size is None


def test_what_is_common_is_not_outlying():
    # Most photographs have one width: the interquartile range is 0, and yet a little more isn't outlying.
    usual = make_table([375] * 90 + [500] * 10, [500] * 90 + [333] * 10)
    assert split_sizes(usual).outlying.empty
    # A tenth is far larger: that many are no outliers, though the largest among them may be.
    assert split_sizes(make_table([100] * 900 + [1000] * 100, [100] * 1000)).outlying.empty


def test_few_images_can_have_an_outlier():
    assert list(split_sizes(make_table([32] * 9 + [500], [32] * 10)).outlying["path"]) == ["photos/9.jpg"]
    assert split_sizes(make_table([7], [9])).common_size == (7, 9)


@pytest.mark.usefixtures("sketched")
def test_images_of_one_size_need_no_figure(tmp_path):
    record = make_record(make_table([32] * 50 + [500], [48] * 51))
    data = split_sizes(record.table)
    assert data.common_size == (32, 48)
    assert len(data.outlying) == 1
    assert "data-sizes" not in {picture.name for picture in draw_data(record, tmp_path)}


@pytest.mark.parametrize("sizes", [(30, 31), (8, 900), (1, 2000)])
def test_bins_hold_every_image_and_whole_pixels(sizes):
    values = np.arange(sizes[0], sizes[1] + 1)
    edges = bin_edges(pd.DataFrame({"height": values, "width": values[::-1]}))
    assert edges[0] < sizes[0]
    assert edges[-1] > sizes[1]
    assert len(edges) <= 52
    assert set(np.diff(edges) % 1) == {0.0}
    assert (edges % 1 == 0.5).all()


@pytest.mark.parametrize("count", [3, 500, 3000])
def test_sizes_are_drawn_few_or_many(count):
    drawn = split_sizes(make_table(RANDOM.integers(100, 400, count), RANDOM.integers(100, 500, count))).drawn
    with joint_figure(drawn) as figure:
        joint = figure.axes[0]
        marks = joint.collections[0]
        total = marks.get_array().sum() if count > 1000 else len(marks.get_offsets())
        assert total == len(drawn)
        assert joint.get_xlim() == joint.get_ylim()  # the line of square images is at 45 degrees


def test_a_chosen_backend_of_matplotlib_stays():
    before = mpl.get_backend()
    with joint_figure(split_sizes(make_table([1, 2, 3], [3, 4, 5])).drawn):
        pass
    assert mpl.get_backend() == before
    assert not mpl.pyplot.get_fignums()


def test_a_million_images_are_counted_in_few_cells():
    count = 1_000_000
    table = pd.DataFrame(
        {
            "class": "x",
            "path": "x",
            "split": "train",
            "height": RANDOM.integers(200, 500, count),
            "width": RANDOM.integers(200, 500, count),
        }
    )
    drawn = split_sizes(table).drawn
    with joint_figure(drawn) as figure:
        cells = figure.axes[0].collections[0].get_array()
    assert cells.size <= 52**2
    assert cells.sum() == len(drawn)


def test_counts_by_class_and_split():
    table = make_table([8] * 10, [8] * 10)
    counts = data_figures.count_images(table, ["cat", "dog", "empty"], ["train", "validation", "test"])
    assert list(counts) == ["train", "test"]
    assert counts.to_numpy().tolist() == [[4, 1], [4, 1], [0, 0]]


def test_bars_are_as_long_as_the_counts():
    # Names that are numbers, and out of order: bars stand in the order of the labels.
    classes = ["10", "9", "$x_1$"]
    table = make_table([8] * 31, [8] * 31, classes)
    counts = data_figures.count_images(table, classes, ["train", "test"])
    with new_figure() as (figure, axes):
        data_figures.draw_counts(table, counts, figure, axes)
        ax = axes[0][0]
        widths = [[bar.get_width() for bar in bars] for bars in ax.containers]
        assert np.transpose(widths).tolist() == counts.to_numpy().tolist()
        assert [label.get_text() for label in ax.get_yticklabels()] == ["10", "9", r"\$x_1\$"]


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(("uneven", "drawn"), [(False, False), (True, True)])
def test_many_classes_are_told_by_their_distribution(uneven, drawn, tmp_path):
    classes = [f"c{i:03d}" for i in range(100)]
    table = make_table([8] * 1000, [8] * 1000, classes)
    table["split"] = "train"
    if uneven:
        table = table.drop(index=[0, 100, 200])  # three images of the first class
    record = make_record(table, classes)
    pictures = {picture.name: picture for picture in draw_data(record, tmp_path)}
    assert ("data-classes" in pictures) == drawn
    if drawn:
        caption = pictures["data-classes"].caption
        assert "100 classes" in caption
        assert "train 7 to 10" in caption
        assert "fewest in all have c000 (7), c001 (10)" in caption


@pytest.mark.parametrize(
    ("count", "classes", "shape"),
    [(40, 10, (4, 10)), (40, 2, (4, 10)), (40, 3, (5, 9)), (40, 1000, (4, 10)), (1, 5, (1, 1))],
)
def test_a_column_of_the_sheet_is_a_class_where_classes_are_few(count, classes, shape):
    assert data_figures.sheet_shape(count, classes) == shape


@pytest.mark.parametrize("channels", [1, 3])
def test_all_figures_are_written(channels, tmp_path):
    record = make_record(channels=channels)
    files = write_data_figures(record, tmp_path / "figures")
    names = ("data-classes", "data-sizes", "data-samples", "data-mean")
    assert files == [tmp_path / "figures" / f"{name}.{kind}" for name in names for kind in KINDS]
    assert all(path.stat().st_size > (20 if path.suffix == ".csv" else 500) for path in files)
    again = write_data_figures(record, tmp_path / "again")
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in again]


def test_names_of_classes_are_text_whatever_they_hold(tmp_path):
    classes = ["$a_b$", "_x", ".dot", "two\nlines", "漢字", "$5", "x" * 200, "x" * 199 + "y", "\x01bell", "<script>"]
    record = make_record(make_table([8] * 90, [8] * 90, classes), classes)
    pictures = draw_data(record, tmp_path)
    svg = (tmp_path / "data-classes.svg").read_text(encoding="utf-8")
    assert "$a_b$" in svg
    assert "漢字" in svg
    assert "x" * 30 not in svg
    assert "<script>" not in svg
    assert "$a_b$, _x, .dot" in pictures[1].alt


def test_long_names_keep_both_ends():
    assert as_text("abcdefghij", 7) == "abc…hij"
    assert len(as_text("x" * 99)) == 24
    assert as_text("short") == "short"


@pytest.mark.usefixtures("sketched")
def test_captions_tell_the_numbers(tmp_path):
    table = make_table([*np.tile([300, 400], 1000), 3000], [*np.tile([300, 400], 1000), 2500])
    pictures = {picture.name: picture for picture in draw_data(make_record(table), tmp_path)}
    sizes = pictures["data-sizes"].caption
    assert "Height against width of 2,000 images" in sizes
    assert "a bin has 3x3 pixels" in sizes
    assert "photos/2000.jpg (3000x2500)" in sizes
    assert "three quarters of the median" in sizes
    assert "6 training images" in pictures["data-samples"].caption
    assert "2,001 images" in pictures["data-mean"].caption
    assert all(len(picture.alt) > 60 and "nan" not in picture.alt + picture.caption for picture in pictures.values())
