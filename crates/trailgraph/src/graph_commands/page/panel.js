// The side panel: everything that is known of one node. All of it is others' text, so all of it is set as text.

const RELATIONS_AT_ONCE = 40;
const TIMES = new Set(["createdOn", "updatedOn"]);
const TOLD = new Set(["name", "displayName", "public", "publicReasons", "publicAssumes", "placeholder"]);

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

function button(className, onClick, ...children) {
  const made = element("button", className, ...children);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

function heading(text, count) {
  const made = element("h3", "", text);
  if (count !== undefined) made.append(element("span", "count", count.toLocaleString("en")));
  return made;
}

const remark = (text) => element("p", "", element("small", "", text));

function describe(node, onSelect, onClose) {
  const { entity } = node;
  const facets = entity._facets ?? [];
  const close = button("close", onClose, "×");
  close.setAttribute("aria-label", "Close");
  const key = element("p", "", element("code", "", node.key));
  const title = element("h2", "", node.name);
  title.tabIndex = -1; // takes the focus, so that the panel is read out
  const parts = [title, close, element("small", "", node.kind), key];
  if (node.placeholder) parts.push(remark("Only referred to: this graph does not describe it."));
  if (node.exposure) parts.push(...exposure(node, facets));
  parts.push(...properties(entity), ...provenance(facets), ...relations(node, onSelect));
  return parts;
}

function exposure(node, facets) {
  const parts = [element("span", "badge", element("span", "dot " + node.exposure), node.exposure)];
  if (node.exposure === "unknown") {
    parts.push(remark("The events seen so far do not decide it."));
  }
  for (const reason of node.entity.publicReasons ?? []) {
    const [facet, event] = [reason.split(":", 1)[0], reason.slice(reason.indexOf(":") + 1)];
    const spoke = facets.find((one) => one.facet === facet && one.eventId === event) ?? { facet, eventId: event };
    parts.push(element("div", "reason", ...origin(spoke)));
  }
  for (const assumed of node.entity.publicAssumes ?? []) {
    parts.push(remark("Assumes AWS's default of " + assumed + ": no event has spoken of it."));
  }
  return parts;
}

// Facet, time, actor and event, in lines of their own.
function origin(facet) {
  const when = facet.eventTime === undefined ? "" : " · " + timeText(facet.eventTime);
  const lines = [element("div", "", element("strong", "", facet.facet), element("small", "", when))];
  if (facet.actor) lines.push(element("div", "", facet.actor));
  if (facet.contested) lines.push(element("div", "", element("small", "", "contested: two writes in one second")));
  if (facet.reason) lines.push(element("div", "", element("small", "", "unknown: " + facet.reason)));
  if (facet.eventId) lines.push(element("code", "", facet.eventId));
  return lines;
}

function properties(entity) {
  const list = element("dl", "");
  for (const [name, value] of Object.entries(entity)) {
    if ((name.startsWith("_") && name !== "_rawData") || TOLD.has(name)) continue;
    const text = TIMES.has(name) ? timeText(value) : Array.isArray(value) ? value.join(", ") : String(value);
    list.append(element("dt", "", name === "_rawData" ? "document" : name), element("dd", "", text));
  }
  return list.childElementCount ? [heading("Properties"), list] : [];
}

// Facets that an event has spoken of; the others in one line each kind.
function provenance(facets) {
  if (!facets.length) return [];
  const isTold = (facet) => facet.source === "event" || facet.eventId || facet.reason;
  const parts = [heading("Facets"), ...facets.filter(isTold).map((facet) => element("div", "facet", ...origin(facet)))];
  for (const [source, text] of [["default", "AWS's default: "], ["unknown", "Unknown: "]]) {
    const names = facets.filter((facet) => !isTold(facet) && facet.source === source).map((facet) => facet.facet);
    if (names.length) parts.push(element("p", "facet", element("small", "", text + names.join(", "))));
  }
  return parts;
}

// One list per direction and class; long ones open in steps.
function relations(node, onSelect) {
  const groups = new Map();
  for (const edge of node.edges) {
    const isOut = edge.from === node;
    const title = isOut ? edge.verb + " →" : "← " + edge.verb;
    if (!groups.has(title)) groups.set(title, []);
    groups.get(title).push([isOut ? edge.to : edge.from, edge]);
  }
  return [...groups].flatMap(([title, ends]) => {
    const list = element("div", "list");
    const more = button("more", () => grow(), "");
    const grow = () => {
      const from = list.childElementCount;
      for (const [end, edge] of ends.slice(from, from + RELATIONS_AT_ONCE)) {
        const told = Object.entries(edge.properties).map(([name, value]) => name + ": " + value);
        const small = element("small", "", [end.kind, ...told].join("; "));
        list.append(button("", () => onSelect(end), end.name, small));
      }
      const left = ends.length - list.childElementCount;
      more.hidden = left === 0;
      more.textContent = "Show more of the other " + left.toLocaleString("en");
    };
    grow();
    return [heading(title, ends.length), list, more];
  });
}
