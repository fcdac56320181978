// Labels, in order of weight: one that would cover another is left out.

const LABELS_MAX = 120;
const FONT_FAMILY = " system-ui, 'DejaVu Sans', sans-serif";

function makePlacer(context, halo) {
  const taken = [];
  context.textBaseline = "middle";
  context.lineJoin = "round";
  // `room` is what must be free around the text besides.
  return (text, x, y, { font, colour, isCentred = false, room = 0 }) => {
    context.font = font + FONT_FAMILY;
    const width = context.measureText(text).width;
    const left = isCentred ? x - width / 2 : x;
    const box = { l: left - 3 - room, t: y - 9 - room, r: left + width + 3 + room, b: y + 9 + room };
    if (box.r < 0 || box.l > innerWidth || box.b < 0 || box.t > innerHeight) return false;
    const covers = (other) => box.l < other.r && other.l < box.r && box.t < other.b && other.t < box.b;
    if (taken.some(covers)) return false;
    taken.push(box);
    context.lineWidth = 3.5;
    context.strokeStyle = halo;
    context.strokeText(text, left, y);
    context.fillStyle = colour;
    context.fillText(text, left, y);
    return true;
  };
}

const shorten = (name) => (name.length > 48 ? name.slice(0, 30) + "…" + name.slice(-14) : name);

function drawLabels(context, { camera, nodes, discs, shown, colours, isDimmed, neighbours }) {
  const place = makePlacer(context, colours.disc);
  const beside = (node, style) => {
    const at = camera.toScreen(node);
    return place(shorten(node.name), at.x + Math.max(node.r * camera.scale, 3) + 6, at.y, style);
  };
  const focus = shown.hovered ?? shown.selected;
  const done = new Set();
  for (const node of [shown.hovered, shown.selected]) {
    if (node && !done.has(node)) beside(node, { font: "600 13px", colour: colours.ink });
    done.add(node);
  }
  // Titles of many small discs would hide them.
  const titled = discs.length > SPIRAL_MOST ? discs.filter((disc) => disc.radius * camera.scale > 12) : discs;
  for (const disc of titled) {
    const at = camera.toScreen({ x: disc.x, y: disc.y - disc.radius });
    const style = { font: "600 12px", colour: colours.ink, isCentred: true };
    if (!place(disc.title, at.x, at.y - 12, style) || !disc.buckets.length || disc.radius * camera.scale < 45) continue;
    const open = disc.buckets.filter((node) => node.exposure === "public").length;
    const text = countText(disc.buckets.length, "bucket") + (open ? ", " + open + " public" : "");
    place(text, at.x, at.y - 32, { font: "11px", colour: open ? colours.public : colours.muted, isCentred: true });
  }
  const tell = (some, room) => {
    let left = LABELS_MAX;
    for (const node of some) {
      if (left === 0 || done.has(node) || node.host) continue;
      done.add(node);
      if (beside(node, { font: "11.5px", colour: colours.muted, room })) left--;
    }
  };
  tell(focus ? neighbours(focus).slice(0, 80) : [], 0);
  tell(shown.hits.size <= 40 ? shown.hits : [], 0);
  tell(camera.scale > 0.25 ? nodes.filter((node) => node.entity._type === "everyone") : [], 0);
  // With something in focus, or in a crowd, only a close look tells the others' names.
  const isCrowd = nodes.length > 200;
  if (camera.scale < (focus ? 3.6 : isCrowd ? 2.6 : 1.2)) return;
  const close = nodes.filter((node) => !node.host && !isDimmed(node) && camera.isInView(node, 0));
  // The middle of the view is what is looked at.
  const fromCentre = (node) => Math.hypot(node.x - camera.x, node.y - camera.y);
  tell(close.sort((a, b) => fromCentre(a) - fromCentre(b)).slice(0, 600), isCrowd ? 5 : 0);
}
