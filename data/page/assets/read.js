// The page for reading one file.
const perPage = 20;
const all = data.records.map((r) => ({ r, words: null, open: false }));
let shown = all, at = 0;

// words are all texts of a record in lower case, made when a search first needs them.
function words(x) {
  if (x.words === null) {
    const list = [];
    const walk = (v) => {
      if (typeof v === "string") list.push(v);
      else if (v && typeof v === "object") Object.values(v).forEach(walk);
    };
    walk(x.r);
    x.words = list.join("\n").toLowerCase();
  }
  return x.words;
}

const search = el("input", "");
search.type = "search";
search.placeholder = "Search all texts (press /)";
search.setAttribute("aria-label", "search all texts");
const groups = el("select", "");
groups.setAttribute("aria-label", "principle");
const count = el("span", "muted");
const where = el("span", "muted");
const list = el("div", "");
const back = button("‹ Back", () => turn(-1));
const on = button("Next ›", () => turn(1));

const counts = new Map();
for (const x of all) if (x.r.group) counts.set(x.r.group, (counts.get(x.r.group) || 0) + 1);
groups.append(new Option("all principles", ""));
for (const name of [...counts.keys()].sort()) groups.append(new Option((name.length > 60 ? name.slice(0, 59) + "…" : name) + " (" + counts.get(name) + ")", name));
groups.hidden = counts.size < 2;

// start is how a record begins, for its closed line.
function start(r) {
  for (const p of r.parts) {
    if (p.text) return p.text;
    const m = p.messages.find((m) => m.role === "user" && m.text) || p.messages.find((m) => m.text);
    if (m) return m.text;
  }
  return "";
}

// highlight marks what was searched for, by splitting text nodes.
function highlight(node, query) {
  if (!query) return;
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const low = walker.currentNode.data.toLowerCase();
    if (low.length === walker.currentNode.data.length && low.includes(query)) found.push(walker.currentNode); // few letters change length
  }
  for (let t of found) {
    let i;
    while ((i = t.data.toLowerCase().indexOf(query)) >= 0) {
      const hit = t.splitText(i);
      t = hit.splitText(query.length);
      const mark = el("mark", "");
      hit.replaceWith(mark);
      mark.append(hit);
    }
  }
}

function card(x, query) {
  const r = x.r;
  const summary = el("summary", "", el("span", "row", String(r.row)), r.id ? el("span", "id", r.id) : "", el("span", "muted", r.label || ""),
    el("span", "start", start(r).slice(0, 300)));
  const d = el("details", "record", summary);
  d.id = "row-" + r.row;
  let filled = false;
  const fill = () => {
    if (!query) x.open = d.open; // a search opens records for its own time
    if (!d.open || filled) return;
    filled = true;
    if (r.lineage) d.append(el("div", "lineage", r.lineage));
    const b = body(r);
    highlight(b, query);
    d.append(b);
  };
  d.addEventListener("toggle", fill);
  d.open = x.open || (query !== "" && shown.length <= perPage);
  fill();
  return d;
}

function draw() {
  const query = search.value.trim().toLowerCase();
  const pages = Math.max(1, Math.ceil(shown.length / perPage));
  at = Math.min(Math.max(0, at), pages - 1);
  list.replaceChildren(...shown.slice(at * perPage, (at + 1) * perPage).map((x) => card(x, query)));
  if (shown.length === 0) list.append(el("p", "muted", "No record has this."));
  count.textContent = shown.length === all.length ? "" : shown.length + " of " + all.length + " records";
  where.textContent = "page " + (at + 1) + " of " + pages;
  back.disabled = at === 0;
  on.disabled = at === pages - 1;
}

function turn(by) {
  at += by;
  draw();
  window.scrollTo(0, 0);
}

function filter() {
  const query = search.value.trim().toLowerCase();
  shown = all.filter((x) => (!groups.value || x.r.group === groups.value) && (!query || words(x).includes(query)));
  at = 0;
  draw();
}

function openAll(open) {
  for (const x of shown.slice(at * perPage, (at + 1) * perPage)) x.open = open;
  draw();
}

// goTo opens the record of an address such as #row-17.
function goTo() {
  const m = /^#row-(\d+)$/.exec(location.hash);
  const i = m ? all.findIndex((x) => x.r.row === Number(m[1])) : -1;
  if (i < 0) return;
  search.value = groups.value = "";
  shown = all;
  at = Math.floor(i / perPage);
  all[i].open = true;
  draw();
  document.getElementById("row-" + all[i].r.row).scrollIntoView();
}

let pause;
search.addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(filter, 150);
});
groups.addEventListener("change", filter);
window.addEventListener("hashchange", goTo);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !typing(event)) {
    event.preventDefault();
    search.focus();
  }
});

main.append(el("h1", "", data.file), el("p", "muted", data.about), el("div", "top", el("div", "bar", search, groups, count)),
  el("div", "bar", button("Open all", () => openAll(true)), button("Close all", () => openAll(false)), el("span", "end"), where, back, on), list);
const below = el("div", "bar", el("span", "end"), button("Back to top", () => window.scrollTo(0, 0)));
main.append(below);
draw();
goTo();
