"""The page in a real browser, Chromium, driven by Selenium: whole, quiet and readable at every width."""

import re
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from selenium.webdriver.common.keys import Keys

from study.report import Joined, build_report

from .data import make_record
from .frames import make_study, unfinish
from .test_dark_page import contrast, turned
from .test_page import BAD, PROVENANCE, SMALL

pytestmark = pytest.mark.slow
WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")
POINT = """
    const image = document.querySelector("img[data-panels]"), tell = document.querySelector(".told"), texts = [];
    image.scrollIntoView({ block: "center" });
    const box = image.getBoundingClientRect(), pad = parseFloat(getComputedStyle(image).paddingLeft);
    const [panel] = JSON.parse(image.dataset.panels), [line] = panel.lines;
    const [left, top, wide, high] = image.currentSrc === image.src ? panel.box : panel.narrow;
    const point = (type, i, away = 0) => image.dispatchEvent(new PointerEvent(type, {
        clientX: box.left + pad + (box.width - 2 * pad) * (left + wide * line[i]) + 3 + away,
        clientY: box.top + pad + (box.height - 2 * pad) * (top + high * (1 - line[i + 1])) - 3,
    }));
"""


@pytest.fixture(scope="module")
def reports(digits, tmp_path_factory):
    """One study as it is, and one of two variants, both with searches, data, hostile names and an unfinished run."""
    folder = tmp_path_factory.mktemp("pages")
    study = unfinish(digits, "resnet-8 seed 2", "running")
    frames = study.runs, study.curves, study.trials
    record = make_record(classes=(BAD, "dog"), skipped=[(BAD, BAD)])
    build_report(Joined("digits", *frames, words=PROVENANCE, datasets=(record,)), folder / "one")
    small = unfinish(make_study(SMALL), "resnet-8 seed 2", "running")
    both = [
        pd.concat(
            [
                frame.assign(variant=variant, run_id=frame["run_id"].str[:-1] + str(i))
                for i, variant in enumerate(("width=1", BAD))
            ],
            ignore_index=True,
        )
        for frame in (small.runs, small.curves, small.trials)
    ]
    build_report(Joined(BAD, *both, words=PROVENANCE | {BAD: BAD}, datasets=(record,)), folder / "several")
    return folder


@pytest.fixture(params=["one", "several"])
def page(request, browser, reports):
    """A page, just opened at desktop width; what the browser said of an earlier one is dropped."""
    browser.get_log("browser")
    show(browser, 1280, "light")
    browser.get((reports / request.param / "index.html").as_uri())
    return browser


def show(browser, width, scheme):
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [feature]})


def open_all(browser):
    browser.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true })")


def test_the_console_stays_empty(page):
    """Neither an error nor a breach of the page's own policy, which is told there too."""
    for width in WIDTHS:
        for scheme in SCHEMES:
            show(page, width, scheme)
            open_all(page)
    assert page.get_log("browser") == []


def test_the_log_would_tell_of_a_breach(browser, tmp_path, reports):
    """The test above can fail: the same page with a script and a picture from elsewhere is reported."""
    text = (reports / "one" / "index.html").read_text(encoding="utf-8")
    bad = text.replace(
        "</main>", "<script>document.title = 'changed'</script><img src='https://x.invalid/a.png'></main>"
    )
    (tmp_path / "index.html").write_text(bad, encoding="utf-8")
    browser.get((tmp_path / "index.html").as_uri())
    told = " ".join(entry["message"] for entry in browser.get_log("browser"))
    assert told.count("Content Security Policy") >= 2
    assert browser.title == "digits: does depth hurt?"


def test_every_picture_is_there(page):
    sizes = page.execute_script(
        "return [...document.images].map(one => [one.complete, one.naturalWidth, one.naturalHeight, one.clientWidth])"
    )
    assert len(sizes) >= 7
    assert all(complete and min(numbers) > 0 for complete, *numbers in sizes)


def test_every_link_inside_leads_somewhere(page):
    found = page.execute_script(
        "return [...document.links].map(one => [one.getAttribute('href'), one.href, one.textContent.trim()])"
    )
    folder = Path(unquote(urlsplit(page.current_url).path)).parent
    assert len(found) > 40
    for given, whole, text in found:
        assert text
        if given.startswith("#"):
            assert page.execute_script("return document.getElementById(arguments[0]) !== null", given[1:]), given
        elif not given.startswith("https://mlflow.example/team/#/experiments/7/runs/"):
            assert whole.startswith("file://"), given
            assert (folder / given).is_file(), given


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_never_scrolls_sideways(page, width):
    for scheme in SCHEMES:
        show(page, width, scheme)
        open_all(page)
        wide, room, window = page.execute_script(
            "const e = document.documentElement; return [e.scrollWidth, e.clientWidth, innerWidth]"
        )
        assert wide <= room <= window == width


def test_two_panels_stand_one_below_the_other_on_a_phone(page):
    def sizes(width):
        show(page, width, "light")
        open_all(page)
        return page.execute_script(
            "return [...document.querySelectorAll('source + img')]"
            ".map(one => [one.clientWidth / one.clientHeight, one.clientWidth, one.closest('.scroll').clientWidth])"
        )

    wide, narrow = (sizes(width) for width in reversed(WIDTHS))
    assert len(wide) >= 2
    assert all(ratio > 1.5 for ratio, *_ in wide)
    assert all(ratio < 1 and width <= room for ratio, width, room in narrow)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_figure_tells_the_point_under_the_pointer(page, width):
    show(page, width, "light")
    texts = page.execute_script(
        POINT
        + """
        const events = [["pointermove", 0], ["pointermove", 2000], ["pointerdown", 0], ["pointerleave", 0]];
        for (const [type, away] of events) {
            point(type, 1, away);
            texts.push(tell.hidden ? "" : tell.textContent);
        }
        return [...texts, line[0], panel.x, panel.y];
        """
    )
    moved, away, touched, left, name, x, y = texts
    assert moved.startswith(name)
    assert f"{x}: " in moved
    assert f"{y}: " in moved
    assert (away, touched, left) == ("", moved, "")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_told_is_legible_and_in_sight(page, scheme):
    """Of the point farthest to the right, on a phone."""
    show(page, 390, scheme)
    *colours, left, right, height = page.execute_script(
        POINT
        + """
        point("pointermove", line.length - 4);
        const { left: from, right: to, height: tall } = tell.getBoundingClientRect();
        const [told, body] = [tell, document.body].map((element) => getComputedStyle(element));
        return [told.color, told.backgroundColor, body.backgroundColor, from, to, tall];
        """
    )
    text, ground, beneath = (tuple(int(part) / 255 for part in re.findall(r"\d+", colour)) for colour in colours)
    assert contrast(text, ground) >= 4.5
    assert contrast(ground, beneath) >= 3
    assert 0 <= left < right <= 390
    assert 10 < height < 70  # two or three lines, not a column of words


def test_figures_turn_dark_with_the_page_but_for_those_of_images(browser, reports):
    """Every pixel, as the tests of contrast take it: what is embedded has no ground of its own."""
    browser.get((reports / "one" / "index.html").as_uri())
    open_all(browser)
    images, seen = browser.find_elements("css selector", "figure img"), {}
    for scheme in SCHEMES:
        show(browser, 1280, scheme)
        seen[scheme] = [imread(BytesIO(image.screenshot_as_png))[9:-9, 9:-9, :3] for image in images]
    photographs = ["photographs" in (image.get_attribute("class") or "") for image in images]
    assert (len(images) > 8, sum(photographs)) == (True, 2)
    for light, dark, true in zip(seen["light"], seen["dark"], photographs, strict=True):
        assert np.abs(dark - (light if true else turned(light))).mean() < 0.004  # a step of 255


def test_both_colour_schemes(page):
    grounds = []
    for scheme in SCHEMES:
        show(page, 1280, scheme)
        colour = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        grounds.append(sum(int(part) for part in colour[4:-1].split(",")))
    light, dark = grounds
    assert light == 3 * 255
    assert dark < 3 * 60


def test_hostile_names_are_shown_as_text(page):
    shown = page.execute_script("return document.body.innerText")
    assert BAD in shown
    assert page.execute_script("return document.scripts.length") == 1
    assert page.execute_script(
        "return [...document.querySelectorAll('*')].every(e => [...e.attributes].every(a => !a.name.startsWith('on')))"
    )


def test_the_verdict_comes_first_on_a_phone(page):
    """The verdict in sight before the picture, what it rests on and what is next before the contents."""
    show(page, 390, "light")
    tops = [
        page.execute_script("return document.querySelector(arguments[0]).getBoundingClientRect().top", place)
        for place in (".abstract", ".verdict", ".basis", ".next", "nav")
    ]
    assert tops == sorted(tops)
    assert tops[0] < 844


def test_what_scrolls_can_be_reached_by_keys(page):
    """Every part that scrolls takes the focus and has a name (WCAG 2.1.1)."""
    show(page, 390, "light")
    open_all(page)
    lacking = page.execute_script(
        "return [...document.querySelectorAll('body *')].filter(e => e.scrollWidth > e.clientWidth + 1 "
        "&& ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) "
        "&& !(e.tabIndex === 0 && e.getAttribute('aria-label'))).map(e => e.outerHTML.slice(0, 80))"
    )
    assert lacking == []


def test_a_link_into_a_folded_table_unfolds_it(browser, reports):
    browser.get((reports / "one" / "index.html").as_uri() + "#table-trials")
    assert browser.execute_script("return document.getElementById('table-trials').closest('details').open")


def test_the_first_screen_has_the_verdict_its_figure_and_what_it_rests_on(browser, digits, tmp_path):
    """At 1280x800, of a study that is done."""
    index = build_report(Joined("digits", digits.runs, digits.curves, digits.trials), tmp_path / "out")
    show(browser, 1280, "light")
    browser.get(index.as_uri())
    bottoms = browser.execute_script(
        "return ['.abstract', '.verdict', 'figure img', '.basis'].map("
        "place => document.querySelector(place).getBoundingClientRect().bottom)"
    )
    assert max(bottoms) < 800


def test_a_link_into_what_is_folded_unfolds_it(browser, reports):
    """On opening the page, and on a click, however deep it lies."""
    browser.get((reports / "one" / "index.html").as_uri() + "#versions")
    is_open = "return document.getElementById(arguments[0]).closest('details').open"
    assert browser.execute_script(is_open, "versions")
    assert not browser.execute_script(is_open, "table-winners")
    browser.execute_script("document.querySelector(\"nav a[href='#table-winners']\").click()")
    assert browser.execute_script(is_open, "table-winners")
    outer = "return document.getElementById('table-winners').closest('details').parentElement.closest('details').open"
    assert browser.execute_script(outer)
    place = browser.execute_script("return document.getElementById('table-winners').getBoundingClientRect()")
    assert 0 <= place["top"] < 844


def test_paper_has_what_is_folded(browser, reports):
    """Opened by the script where a browser's style can't, and closed again."""
    browser.get((reports / "one" / "index.html").as_uri())
    closed = "return document.querySelectorAll('details.unfold:not([open])').length"
    before = browser.execute_script(closed)
    assert before > 10
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script(closed) == 0
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script(closed) == before


def test_the_commands_are_copied(browser, reports):
    browser.get((reports / "one" / "index.html").as_uri())
    browser.execute_script("window.copied = ''; navigator.clipboard.writeText = async text => { window.copied = text }")
    browser.execute_script("document.getElementById('copy').click()")
    assert browser.execute_script("return window.copied").splitlines()[-1] == "study report --experiment digits"
    assert browser.execute_script("return document.getElementById('copy').textContent") == "Copied"


def test_nothing_is_cut_on_paper(page):
    """In print style at the width of an A4 page's text (180 mm), nothing reaches beyond it."""
    show(page, 680, "dark")
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": [dark]})
    beyond = page.execute_script(
        "return [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 681)"
        ".map(e => e.outerHTML.slice(0, 80))"
    )
    assert beyond == []
    assert page.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.execute_script("return getComputedStyle(document.images[0]).filter") == "none"
    tallest = page.execute_script("return Math.max(...[...document.images].map(e => e.clientHeight))")
    assert tallest < 265 / 25.4 * 96  # the height of the page's text


def test_a_click_on_a_heading_sorts_its_table(page):
    open_all(page)
    rows = "document.querySelectorAll('#table-results tbody tr')"
    read = f"return [...{rows}].map(row => row.cells[arguments[0]].innerText)"
    headings = page.find_elements("css selector", "#table-results thead th")
    column = next(i for i, heading in enumerate(headings) if heading.text.startswith("Parameters"))
    before = page.execute_script(read, column)
    numbers = sorted(int(text.replace(",", "")) for text in before)
    for expected in (numbers, numbers[::-1]):
        page.execute_script("arguments[0].click()", headings[column])
        assert [int(text.replace(",", "")) for text in page.execute_script(read, column)] == expected
    assert headings[column].get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_label_of_a_depth_highlights_its_lines(browser, reports, width):
    """By the mouse and by keys, in all panels; another click or Escape takes it back."""
    browser.get((reports / "one" / "index.html").as_uri())
    show(browser, width, "light")
    open_all(browser)
    figure = browser.find_element("id", "figure-curves")
    image, labels = figure.find_element("tag name", "img"), figure.find_elements("class name", "key")
    ends = [label for label in labels if label.accessible_name == "20-layer"]
    assert (len(labels), len(ends)) == (8, 2)
    browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", image)

    def ink():
        """Return the mean darkness of each label's box, and that of the whole image."""
        browser.execute_async_script("arguments[0].decode().then(arguments[1])", image)
        pixels = 1 - imread(BytesIO(image.screenshot_as_png))[..., :3].mean(axis=2)
        corner, scale, means = image.rect, len(pixels) / image.rect["height"], []
        for box in (label.rect for label in labels):
            left, top = (round(scale * (box[side] - corner[side])) for side in "xy")
            wide, tall = (round(scale * box[side]) for side in ("width", "height"))
            means.append(pixels[top : top + tall - 3, left : left + wide].mean())  # not what underlines it
        return np.array(means), pixels.mean()

    def pressed():
        return np.array([label.get_attribute("aria-pressed") == "true" for label in labels])

    before, whole = ink()
    assert (before > 0.03).all()  # the boxes lie over the labels
    ends[0].click()
    assert pressed().tolist() == [label in ends for label in labels]
    after, rest = ink()
    assert rest < 0.9 * whole
    assert (after[pressed()] > 0.9 * before[pressed()]).all()
    assert (after[~pressed()] < 0.7 * before[~pressed()]).all()
    ends[1].click()
    assert not any(pressed())
    assert ink()[1] == pytest.approx(whole, rel=1e-2)
    for key in (Keys.ENTER, Keys.SPACE):
        ends[0].send_keys(key)
        assert sum(pressed()) == 2
        assert ink()[1] < 0.9 * whole
        ends[0].send_keys(Keys.ESCAPE)
        assert not any(pressed())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_label_that_has_the_focus_is_seen(browser, reports, scheme):
    browser.get((reports / "one" / "index.html").as_uri())
    show(browser, 1280, scheme)
    open_all(browser)
    label = browser.find_element("css selector", "#figure-curves .key")
    label.send_keys(Keys.SHIFT)
    look = "const look = getComputedStyle(arguments[0]); return [look.outlineStyle, look.outlineColor]"
    kind, colour = browser.execute_script(look, label)
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    rgb = [tuple(int(part) / 255 for part in re.findall(r"\d+", text)) for text in (colour, ground)]
    assert kind == "solid"
    assert contrast(*rgb) >= 3
