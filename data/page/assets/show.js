"use strict";
// What both pages share. Texts of records reach the page through text nodes alone, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("main");
main.replaceChildren();

// el makes an element of a class with children: nodes, or texts.
function el(tag, cls, ...children) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  e.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return e;
}

function button(label, action, key) {
  const b = el("button", "", label, key ? el("kbd", "", key) : "");
  b.type = "button";
  b.addEventListener("click", action);
  return b;
}

function textOf(t) { return el("div", "text", t); }

function call(c) {
  return el("div", "call", el("span", "name", c.name), c.text ? textOf(c.text) : "", c.json ? el("pre", "", c.json) : "");
}

function message(m) {
  const known = ["system", "user", "assistant", "tool"].includes(m.role) ? m.role : "";
  const box = el("div", "message " + known, el("div", "role", m.name ? m.role + " · " + m.name : m.role));
  if (m.reasoning) box.append(el("div", "reasoning", textOf(m.reasoning)));
  if (m.text) box.append(textOf(m.text));
  for (const c of m.calls || []) box.append(call(c));
  return box;
}

function more(title, nodes) { return el("details", "more", el("summary", "", title), ...nodes); }

// body shows what a record holds.
function body(r) {
  const out = el("div", "");
  if (r.tools) out.append(more(r.tools.length === 1 ? "1 tool" : r.tools.length + " tools", r.tools.map(call)));
  for (const p of r.parts || []) {
    if (p.name) out.append(el("h3", "", p.name));
    if (p.text) out.append(el("div", "document", textOf(p.text)));
    for (const m of p.messages || []) out.append(message(m));
  }
  if (r.extra) out.append(more(r.extra.map((f) => f.name).join(", "), r.extra.map((f) => el("div", "", el("h3", "", f.name), textOf(f.text)))));
  return out;
}

// typing tells whether a key goes into a field.
function typing(event) {
  return event.ctrlKey || event.metaKey || event.altKey || ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
}
