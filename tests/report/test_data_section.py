import pytest

from study.report import Joined, build_report
from study.report.data_section import channels_table, classes_table, data_part

from .data import make_record, make_table
from .frames import Truth, make_study
from .sketches import sketch
from .test_build import Page

pytestmark = pytest.mark.usefixtures("all_sketched")

STUDY = make_study(Truth({("plain", 8): (1, 0.1), ("plain", 20): (5, 0.1)}, trials=0))


def build(tmp_path, *records, runs=STUDY.runs):
    index = build_report(Joined("s", runs, STUDY.curves, STUDY.trials, datasets=tuple(records)), tmp_path / "out")
    return Page(index.read_text(encoding="utf-8")), index.parent


def test_the_data_are_told(tmp_path):
    page, folder = build(tmp_path, make_record(skipped=[("photos/bad.jpg", "not an image")]))
    for wanted in (
        "The data",
        "60 (48 train, 12 test)",
        "2 (cat, dog)",
        "photos/bad.jpg",
        "not an image",
        "on values 0..1",
        "OpenCV's order is the reverse",
        "test: 0.2 of the images",
        "not read: 1 file <b>",
        "Height against width of 60 images",
    ):
        assert wanted in page.text
    assert all(f"figure-data-{name}" in page.ids for name in ("classes", "sizes", "samples", "mean"))
    assert all(f"table-data-{name}" in page.ids for name in ("classes", "channels", "skipped"))
    assert "table-data-outlying" not in page.ids
    relative = [address for address in page.addresses if not address.startswith(("data:", "#"))]
    assert all((folder / address).is_file() for address in relative)
    assert all(address[1:] in page.ids for address in page.addresses if address.startswith("#"))
    assert len(set(page.ids)) == len(page.ids)
    # Numbers go on from the results': Figure 6 is the first of the data (five of the runs come before).
    assert "Figure 8. Classes and splits" in page.text
    assert page.text.index("Figure 3.") < page.text.index("Figure 4.") < page.text.index("Figure 7.")


def test_figures_that_show_images_are_marked_so_that_a_dark_page_leaves_their_colours(tmp_path, monkeypatch):
    shown, names = [], []

    def save(figure, folder, name, *data, **kinds):
        names.extend([name] * (figure in shown))
        sketch(figure, folder, name, *data, **kinds)

    monkeypatch.setattr("study.report.figures.dataset.show_image", lambda ax, *_: shown.append(ax.figure))
    monkeypatch.setattr("study.report.figures.drawing.save", save)
    _, folder = build(tmp_path, make_record())
    page = (folder / "index.html").read_text(encoding="utf-8")
    marked = [figure.split('"')[0] for figure in page.split('<figure id="figure-') if 'class="photographs"' in figure]
    assert marked == names == ["data-samples", "data-mean"]


def test_a_study_without_a_record_has_no_such_section(tmp_path):
    page, folder = build(tmp_path)
    assert "The data" not in page.text
    assert not list(folder.rglob("data-*"))


def test_names_from_the_data_are_escaped(tmp_path):
    bad = "<script>alert('$x_1$')</script>"
    table = make_table([*[300, 400] * 30, 9000], [*[300, 400] * 30, 9000], (bad, "dog")).assign(path=bad)
    page, folder = build(tmp_path, make_record(table, (bad, "dog"), skipped=[(bad, bad)]))
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert "script" not in page.tags
    assert text.count("<script") == 1  # the page's own
    assert text.count("&lt;script&gt;alert(") >= 5  # class, outlying image, skipped file and its reason
    assert bad in page.text


def test_only_data_of_counted_runs_are_shown(tmp_path):
    used, other = make_record(fingerprint="a" * 20), make_record(fingerprint="b" * 20)
    page, _ = build(tmp_path, used, other, runs=STUDY.runs.assign(fingerprint="a" * 20))
    assert "a" * 20 in page.text
    assert "b" * 20 not in page.text


def test_two_data_sets_keep_their_files_apart(tmp_path):
    page, folder = build(tmp_path, make_record(fingerprint="a" * 20), make_record(fingerprint="b" * 20))
    assert (folder / "figures" / "data-mean-aaaaaaaa.png").is_file()
    assert (folder / "tables" / "data-classes-bbbbbbbb.csv").is_file()
    assert len(set(page.ids)) == len(page.ids)
    assert "photos (aaaaaaaa)" in page.text


def test_long_tables_are_cut_on_the_page_and_whole_in_the_csv(tmp_path):
    record = make_record(skipped=[(f"{i}.jpg", "empty") for i in range(25)])
    skipped = data_part(record, tmp_path).tables[-1]
    assert (len(skipped.shown), len(skipped.numbers)) == (20, 25)
    assert "the first 20 of 25" in skipped.caption
    classes = [f"c{i}" for i in range(100)]
    table = classes_table(make_record(make_table([8] * 505, [8] * 505, classes), classes))
    assert (len(table.shown), len(table.numbers)) == (20, 100)
    assert "10 classes with the most and the 10 with the fewest" in table.caption
    assert list(table.shown["Class"][:6]) == ["c0", "c1", "c2", "c3", "c4", "c5"]
    assert table.numbers["all"].sum() == 505


def test_channels_of_all_images_and_of_those_trained_on():
    record = make_record()
    record.statistics["training"]["mean"] = [0.25, 0.5, 0.75]
    shown = channels_table(record).shown
    assert shown.iloc[0].tolist() == ["all", "red", "0.5000", "0.0400", "0.2000"]
    assert shown.iloc[5].tolist() == ["training", "blue", "0.7500", "0.0400", "0.2000"]


def test_grey_images_have_no_order_of_channels():
    table = channels_table(make_record(channels=1))
    assert list(table.shown["Channel"]) == ["grey", "grey"]
    assert "OpenCV" not in table.caption


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (make_table([32] * 9, [32] * 9), "all images are 32x32 pixels"),
        (make_table([32] * 9, [48] * 9), "all images are 32x48 pixels (height x width)"),
        (make_table([32] * 9 + [900], [48] * 10), "all images are 32x48 pixels (height x width), but for 1 ("),
        (make_table([30, 40, 60], [30, 30, 50]), "height 30 to 60 pixels (median 40), width 30 to 50 pixels (median 3"),
    ],
)
def test_sizes_in_words(table, told, tmp_path):
    assert dict(data_part(make_record(table), tmp_path).facts)["size"].startswith(told)
