// Unfolds what a link leads to and what goes on paper, sorts tables, copies the commands, tells the points of figures
// and highlights what an entry of their keys is of.
// Without it all can be read.
const unfold = (place) => {
  for (let fold = place?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
};
const follow = () => {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  unfold(place);
  place?.scrollIntoView();
};
addEventListener("hashchange", follow);
follow();
addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (link) unfold(document.getElementById(link.getAttribute("href").slice(1)));
});
let printed = [];
addEventListener("beforeprint", () => {
  printed = [...document.querySelectorAll("details.unfold:not([open])")];
  for (const fold of printed) fold.open = true;
});
addEventListener("afterprint", () => {
  for (const fold of printed) fold.open = false;
});
const copy = document.getElementById("copy");
copy.hidden = !navigator.clipboard;
copy.addEventListener("click", async () => {
  await navigator.clipboard.writeText(document.getElementById("commands").textContent);
  copy.textContent = "Copied";
});
// A click on a heading sorts its table by the first number of each cell, or by its text; another click turns it round.
const sorted = (heading) => {
  const body = heading.closest("table").tBodies[0];
  const way = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const values = new Map([...body.rows].map((row) => {
    const text = row.cells[heading.cellIndex].textContent.trim();
    return [row, { text, number: parseFloat(text.replace(/[,<>\s]/g, "").replace("\u2212", "-")) }];
  }));
  const byText = new Intl.Collator("en", { numeric: true }).compare;
  const order = (a, b) => a.number - b.number || isNaN(a.number) - isNaN(b.number) || byText(a.text, b.text);
  body.append(...[...body.rows].sort((a, b) => way * order(values.get(a), values.get(b))));
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
};
for (const heading of document.querySelectorAll("thead tr:only-child th")) {
  heading.tabIndex = 0;
  heading.title = "Sort by this column";
  heading.addEventListener("click", () => sorted(heading));
  heading.addEventListener("keydown", (event) => { if (event.key === "Enter") sorted(heading); });
}
// Tells the point of a figure that is nearest to the pointer, of those that aren't far from it.
const told = document.body.appendChild(document.createElement("output"));
told.className = "told";
told.hidden = true;
const tell = (image, panels, event) => {
  const frame = image.getBoundingClientRect(), pad = parseFloat(getComputedStyle(image).paddingLeft);
  const width = frame.width - 2 * pad, height = frame.height - 2 * pad, narrow = image.currentSrc !== image.src;
  let nearest = { far: 24 };
  for (const panel of panels) {
    const [left, top, wide, high] = narrow ? panel.narrow : panel.box;
    for (const [name, ...numbers] of panel.lines) for (let i = 0; i < numbers.length; i += 4) {
      const x = frame.left + pad + width * (left + wide * numbers[i]);
      const y = frame.top + pad + height * (top + high * (1 - numbers[i + 1]));
      const far = Math.hypot(x - event.clientX, y - event.clientY);
      const values = [[panel.x, numbers[i + 2]], [panel.y, numbers[i + 3]]];
      if (far < nearest.far) nearest = { far, x, y, name, values };
    }
  }
  told.hidden = !nearest.name;
  if (told.hidden) return;
  const text = ([label, value]) => `${label}: ${value.toLocaleString("en", { maximumSignificantDigits: 6 })}`;
  told.textContent = [nearest.name, ...nearest.values.filter(([label]) => label).map(text)].join("; ");
  const half = told.offsetWidth / 2, edge = document.documentElement.clientWidth;
  told.style.left = `${Math.min(Math.max(nearest.x, half), edge - half)}px`;
  told.style.top = `${Math.max(nearest.y, 1.3 * told.offsetHeight)}px`;
};
for (const image of document.querySelectorAll("img[data-panels]")) {
  const panels = JSON.parse(image.dataset.panels), listener = (event) => tell(image, panels, event);
  for (const name of ["pointermove", "pointerdown"]) image.addEventListener(name, listener);
  for (const name of ["pointerleave", "pointercancel"]) image.addEventListener(name, () => { told.hidden = true; });
}
// A click on an entry of a figure's key makes what isn't of it fade; another click, or Escape, takes that back.
for (const picture of document.querySelectorAll("picture[data-keys]")) {
  const image = picture.querySelector("img"), source = picture.querySelector("source");
  const whole = image.src, stacked = source?.srcset, media = matchMedia("(max-width: 40rem)");
  const keys = JSON.parse(picture.dataset.keys).map((key) => ({ ...key, button: document.createElement("button") }));
  const highlight = (chosen) => {
    const others = `[id^=series]:not([id^="series${chosen}."])`;
    const style = `<style>${others}{opacity:.12}${others}:has(text){opacity:.5}</style></svg>`;
    const shown = (address) => chosen === null ? address : address.replace(/<\/svg>$/, style);
    image.src = shown(whole);
    if (source) source.srcset = shown(stacked);
    for (const { series, button } of keys) button.ariaPressed = series === chosen;
  };
  const place = () => {
    for (const { box, narrow, button } of keys) {
      const [left, top, width, height] = (media.matches && narrow) || box;
      const part = (share, more) => `calc((100% - 1rem) * ${share} + ${more}rem)`;
      Object.assign(button.style, { left: part(left, 0.3), top: part(top, 0.4), width: part(width, 0.4) });
      button.style.height = part(height, 0.2);
    }
  };
  for (const { series, name, button } of keys) {
    Object.assign(button, { className: "key", title: `Highlight ${name}`, ariaLabel: name, ariaPressed: false });
    button.addEventListener("click", () => highlight(button.ariaPressed === "true" ? null : series));
    picture.append(button);
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape" && image.src !== whole) highlight(null); });
  media.addEventListener("change", place);
  place();
}
