// Unfolds what a link leads to and what goes on paper, and copies the commands. Without it all can be read as well.
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
