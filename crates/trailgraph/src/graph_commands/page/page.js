// Puts the page together: search, filters, keys and pointers.

const byId = (id) => document.getElementById(id);
const canvas = byId("canvas");
const panel = byId("panel");
const query = byId("query");
const { nodes, edges } = readGraph(await unpack(byId("graph").textContent));
const discs = layOut(nodes);
const view = makeView(canvas, nodes, edges, discs);
const buckets = nodes.filter((node) => node.exposure);

// The focus goes to the panel's heading, and when the panel closes, back to where it was.
let opener = canvas;

function select(node, moveThere) {
  const active = document.activeElement;
  const isInside = panel.contains(active);
  if (node && !isInside) opener = active === document.body ? canvas : active;
  view.shown.selected = node;
  panel.hidden = !node;
  panel.replaceChildren(...(node ? describe(node, (other) => select(other, true), () => select(null)) : []));
  panel.scrollTop = 0;
  if (node) panel.querySelector("h2").focus();
  else if (isInside) opener.focus();
  makeRoom();
  if (node && moveThere) view.camera.centre(node, Math.max(view.camera.scale, 2.2));
  view.restyled();
}

// What the cards cover is not the middle of the picture.
function makeRoom() {
  const isNarrow = innerWidth <= 760;
  const side = panel.hidden ? 0 : isNarrow ? panel.offsetHeight + 16 : panel.offsetWidth + 32;
  const head = byId("head");
  view.camera.inset = isNarrow ? [head.offsetHeight + 16, 0, side, 0] : [0, side, 0, head.offsetWidth + 32];
}

// Search: the first hit is shown while typing; Enter opens it, and each next Enter the next one. It looks within the
// pressed exposures; an empty query finds every bucket of them, the public ones first.
const inOrder = EXPOSURES.flatMap((exposure) => buckets.filter((node) => node.exposure === exposure));
let hits = [];
let opened = -1;

function find() {
  const { exposures } = view.shown;
  const isWithin = (node) => !exposures.size || exposures.has(node.exposure);
  const isAsked = query.value.trim() !== "";
  hits = isAsked ? findNodes(nodes.filter(isWithin), query.value) : inOrder.filter(isWithin);
  opened = -1;
  view.shown.hits = new Set(isAsked ? hits : []);
  byId("hits").textContent = !isAsked ? "" : hits.length ? countText(hits.length, "hit") : "no hit";
  const names = EXPOSURES.filter((exposure) => exposures.has(exposure));
  const within = names.length ? "Only " + names.join(" and ") + ": " : "";
  byId("scope").textContent = within + "Enter opens each in turn";
  view.ask();
}

function search() {
  find();
  if (view.shown.hits.size) view.camera.centre(hits[0], Math.max(view.camera.scale, 1.2));
}

function openNext(step) {
  if (!hits.length) return;
  opened = opened < 0 && step < 0 ? hits.length - 1 : (opened + step + hits.length) % hits.length;
  byId("hits").textContent = (opened + 1).toLocaleString("en") + " of " + hits.length.toLocaleString("en");
  select(hits[opened], true);
}

query.addEventListener("input", search);

// The legend counts, and shows only what is pressed; nothing pressed shows all.
function makeFilters() {
  for (const exposure of EXPOSURES) {
    const count = buckets.filter((node) => node.exposure === exposure).length;
    const title = exposure[0].toUpperCase() + exposure.slice(1);
    const made = button("", () => {
      const { exposures } = view.shown;
      if (!exposures.delete(exposure)) exposures.add(exposure);
      made.setAttribute("aria-pressed", String(exposures.has(exposure)));
      find();
      view.restyled();
    }, element("span", "dot " + exposure), title, element("span", "count", count.toLocaleString("en")));
    made.dataset.exposure = exposure;
    made.title = "Show and search only these; press again for all";
    made.setAttribute("aria-pressed", "false");
    byId("filters").append(made);
  }
}

function tellSummary() {
  const accounts = new Set(buckets.map((node) => node.account).filter(Boolean)).size;
  const last = nodes.reduce((latest, node) => Math.max(latest, node.entity.updatedOn ?? 0), 0);
  const lines = [countText(buckets.length, "bucket") + " in " + countText(accounts, "account")];
  if (last) lines.push("Last change " + timeText(last));
  byId("summary").textContent = lines.join("\n");
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target === query;
  const isWalking = event.target === panel.querySelector("h2") && hits[opened] === view.shown.selected;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (view.shown.selected) return select(null);
    query.value = "";
    search();
    canvas.focus();
  } else if (event.key === "/" && !isTyping) {
    event.preventDefault();
    query.focus();
    query.select();
  } else if (event.key === "Enter" && (isTyping || isWalking)) {
    openNext(event.shiftKey ? -1 : 1);
  } else if (!isTyping) {
    const step = { ArrowLeft: [-80, 0], ArrowRight: [80, 0], ArrowUp: [0, -80], ArrowDown: [0, 80] }[event.key];
    if (step && !panel.contains(document.activeElement)) view.camera.pan(...step);
    if (event.key === "+" || event.key === "=") zoomBy(1.4);
    if (event.key === "-") zoomBy(1 / 1.4);
    if (event.key === "0") view.camera.fit(discs);
  }
});

const zoomBy = (factor) => view.camera.zoom(factor, view.camera.free().x, view.camera.free().y);
byId("in").addEventListener("click", () => zoomBy(1.4));
byId("out").addEventListener("click", () => zoomBy(1 / 1.4));
byId("fit").addEventListener("click", () => view.camera.fit(discs));

// One pointer drags, two pinch; one that has hardly moved is a click.
const pointers = new Map();
let travelled = 0;
const spread = () => {
  const [a, b] = [...pointers.values()];
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) };
};

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  if (pointers.size === 0) travelled = 0;
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
});
canvas.addEventListener("pointermove", (event) => {
  const last = pointers.get(event.pointerId);
  if (!last) return hover(view.nodeAt(event.clientX, event.clientY));
  const before = pointers.size === 2 ? spread() : null;
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  travelled += Math.hypot(event.clientX - last.x, event.clientY - last.y);
  if (before) {
    const now = spread();
    view.camera.pan(before.x - now.x, before.y - now.y);
    view.camera.zoom(now.apart / Math.max(before.apart, 1), now.x, now.y);
  } else if (travelled > 4) {
    canvas.classList.add("dragging");
    view.camera.pan(last.x - event.clientX, last.y - event.clientY);
  }
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, (event) => {
    if (end === "pointerup" && pointers.size === 1 && travelled <= 4) select(view.nodeAt(event.clientX, event.clientY));
    pointers.delete(event.pointerId);
    canvas.classList.remove("dragging");
  });
}
canvas.addEventListener("pointerleave", () => hover(null));
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 16 : 1;
  view.camera.zoom(Math.exp(-event.deltaY * lines * 0.0015), event.clientX, event.clientY);
}, { passive: false });

function hover(node) {
  if (view.shown.hovered === node) return;
  view.shown.hovered = node;
  canvas.classList.toggle("over", node !== null);
  view.ask();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view.readColours());
addEventListener("resize", () => {
  makeRoom();
  view.resize();
});

makeFilters();
tellSummary();
find();
makeRoom();
view.resize();
view.camera.fit(discs);
view.readColours();
