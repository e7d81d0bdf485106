// The page for comparing two files blind. Which record is whose stands in data.sealed, which seal in seal.go mixed with a stream from a key: enough
// that neither the page nor its source shows it, and no more. Nothing here opens it before the reader is done or asks for it.
function unseal() {
  const bytes = Uint8Array.from(atob(data.sealed), (c) => c.charCodeAt(0));
  let x = data.key >>> 0;
  for (let i = 0; i < bytes.length; i++) {
    x = (x ^ (x << 13)) >>> 0;
    x = (x ^ (x >>> 17)) >>> 0;
    x = (x ^ (x << 5)) >>> 0;
    bytes[i] ^= (x >>> 11) & 255;
  }
  return JSON.parse(new TextDecoder().decode(bytes));
}

// What was chosen is remembered by the browser where it can be, so that a reload loses nothing.
const memory = "because-blind-" + data.page;
let picks = new Array(data.pairs.length).fill(null), at = 0, secret = null;
try {
  const kept = JSON.parse(localStorage.getItem(memory));
  if (kept && Array.isArray(kept.picks) && kept.picks.length === picks.length) {
    picks = kept.picks.map((p) => (["left", "right", "equal"].includes(p) ? p : null));
    if (kept.revealed) secret = unseal();
    at = Math.max(0, picks.indexOf(null));
  }
} catch { /* no memory, or nothing in it */ }

function remember() {
  try {
    localStorage.setItem(memory, JSON.stringify({ picks, revealed: secret !== null }));
  } catch { /* the page warns before it is left */ }
}

const judged = () => picks.filter((p) => p !== null).length;

// tally counts; wilson is the score interval of 95 % (E. B. Wilson, 1927), as in Tally of tally.go.
function tally() {
  const t = { a: 0, b: 0, ties: 0, left: 0 };
  picks.forEach((p, i) => {
    if (p === "equal") t.ties++;
    else if (p) {
      t[(p === "left") === (secret.pairs[i].left === "a") ? "a" : "b"]++;
      if (p === "left") t.left++;
    }
  });
  return t;
}

function wilson(k, n) {
  const z = 1.959963984540054, p = k / n, d = 1 + (z * z) / n;
  const centre = (p + (z * z) / (2 * n)) / d, half = (z / d) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return [Math.min(p, Math.max(0, centre - half)), Math.max(p, Math.min(1, centre + half))];
}

const percent = (x) => (100 * x).toFixed(1);

function judgments() {
  const list = [];
  picks.forEach((p, i) => {
    const s = secret.pairs[i];
    if (p) list.push({ pair: i + 1, a: s.a, b: s.b, matched: data.pairs[i].by, left: s.left, choice: p });
  });
  return JSON.stringify({ ...secret.head, judgments: list }, null, 2) + "\n";
}

function download() {
  const url = URL.createObjectURL(new Blob([judgments()], { type: "application/json" }));
  const a = el("a", "");
  a.href = url;
  a.download = "judgments-" + data.page + ".json";
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function pick(choice) {
  if (secret !== null) return; // what is no longer blind doesn't count
  picks[at] = choice;
  remember();
  if (judged() === picks.length) {
    reveal();
    return;
  }
  const open = picks.indexOf(null, at + 1);
  go(open >= 0 ? open : picks.indexOf(null));
}

function reveal() {
  secret = unseal();
  remember();
  draw();
  window.scrollTo(0, 0);
}

function askToReveal() {
  const left = picks.length - judged();
  if (confirm("Show the results now? The " + (left === 1 ? "pair" : left + " pairs") + " that you have not judged can't be judged any more.")) reveal();
}

function go(i) {
  at = Math.min(Math.max(0, i), picks.length - 1);
  draw();
  window.scrollTo(0, 0);
}

function row(cells, tag) {
  return el("tr", "", ...cells.map((c) => el(tag || "td", /^[\d.]+$/.test(c) ? "num" : "", c)));
}

function table(headings, rows) {
  return el("table", "", el("thead", "", row(headings, "th")), el("tbody", "", ...rows.map((r) => row(r))));
}

function result() {
  const t = tally(), n = t.a + t.b, h = secret.head;
  const out = el("section", "result", el("h2", "", "Result"), table(["", "file", "chosen"], [["A", h.a.name, String(t.a)], ["B", h.b.name, String(t.b)], ["", "equal", String(t.ties)]]));
  if (n > 0) {
    const [lo, hi] = wilson(t.a, n);
    out.append(el("p", "share", "A was chosen in " + percent(t.a / n) + " % of the decided pairs, 95 % [" + percent(lo) + ", " + percent(hi) + "] (Wilson), n = " + n +
      (lo <= 0.5 && hi >= 0.5 ? ". The interval holds 50 %: no difference is shown." : ".")));
  } else out.append(el("p", "share", "No pair was decided, so there is no share."));
  out.append(el("p", "muted", judged() + " of " + picks.length + " pairs judged. The left side was chosen in " + t.left + " of " + n +
    " decided pairs. The interval is about you on other such pairs, not about other readers."));
  const text = el("pre", "json", judgments());
  const names = { left: "left", right: "right", equal: "equal" };
  const whose = (i) => (!picks[i] ? "not judged" : picks[i] === "equal" ? "equal" : (picks[i] === "left") === (secret.pairs[i].left === "a") ? "A" : "B");
  const rows = secret.pairs.map((s, i) => [String(i + 1), String(s.a), String(s.b), data.pairs[i].by, names[picks[i]] || "", whose(i)]);
  out.append(el("div", "bar", button("Download the judgments", download)), more("the judgments as JSON, to copy", [text]),
    more("all pairs", [table(["pair", "row of A", "row of B", "matched by", "chosen", "which is"], rows)]));
  return out;
}

function matched(c) {
  const what = { prompt: "both answer the same prompt", random: "put together at random" }[c.by] || "matched by " + c.by + (c.value ? ": " + c.value : "");
  return el("span", "muted matched", what);
}

function side(name, r, i) {
  const box = el("section", "side", el("h2", "", name), body(r));
  if (secret !== null) {
    const a = (name === "Left") === (secret.pairs[i].left === "a");
    box.firstChild.textContent = name + ": " + (a ? "A, " + secret.head.a.name + ", row " + secret.pairs[i].a : "B, " + secret.head.b.name + ", row " + secret.pairs[i].b);
  }
  if (picks[i] === name.toLowerCase()) box.classList.add("chosen");
  return box;
}

// both shows what two records begin with, closed where it is long.
function both(r) {
  const n = (r.parts || []).reduce((sum, p) => sum + p.messages.length, 0);
  const d = more("Both begin with " + (n === 0 ? "the same tools" : n === 1 ? "this message" : "these " + n + " messages"), [body(r)]);
  d.classList.add("both");
  d.open = n <= 4;
  return d;
}

function controls() {
  const picked = (label, choice, key) => {
    const b = button(label, () => pick(choice), key);
    b.classList.add("pick");
    b.dataset.choice = choice;
    if (picks[at] === choice) b.classList.add("chosen");
    b.disabled = secret !== null;
    return b;
  };
  const back = button("‹ Back", () => go(at - 1)), on = button("Next ›", () => go(at + 1));
  back.disabled = at === 0;
  on.disabled = at === picks.length - 1;
  const rest = el("span", "bar rest", back, on);
  if (secret === null) {
    const b = button("Reveal", askToReveal);
    b.disabled = judged() === 0;
    rest.append(b);
  }
  return el("div", "judge", el("div", "bar", picked("Left", "left", "1"), picked("Right", "right", "2"), picked("Equal", "equal", "3"), el("span", "end"), rest));
}

function draw() {
  const c = data.pairs[at], bar = el("progress", "");
  bar.max = picks.length;
  bar.value = judged();
  bar.setAttribute("aria-label", "pairs judged");
  main.className = "blind";
  main.replaceChildren(el("h1", "", data.question), el("p", "muted", picks.length + " pairs: " + data.matched + ". Sides are drawn at random. " +
    (secret === null ? "The names of the files are hidden until you have judged." : "The judgments are closed.")), bar);
  if (secret !== null) main.append(result());
  main.append(el("div", "bar", el("strong", "where", "Pair " + (at + 1) + " of " + picks.length), el("span", "muted", judged() + " judged"), matched(c)));
  for (const r of c.both || []) main.append(both(r));
  main.append(el("div", "sides", side("Left", c.left, at), side("Right", c.right, at)), controls());
}

document.addEventListener("keydown", (event) => {
  const choice = { 1: "left", 2: "right", 3: "equal" }[event.key];
  if (choice && !typing(event) && !event.repeat) pick(choice);
});
window.addEventListener("beforeunload", (event) => {
  let kept = null;
  try {
    kept = localStorage.getItem(memory);
  } catch { /* no memory */ }
  if (judged() > 0 && kept === null) event.preventDefault();
});
draw();
