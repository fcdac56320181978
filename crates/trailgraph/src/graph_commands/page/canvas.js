// Draws the graph. Lines are costly, and are drawn into a layer of their own: while the view moves that picture is
// moved, and it is made anew when the view rests. Nodes and labels are drawn for every frame.

const REST_MS = 90;
const COLOURS = ["ground", "disc", "rim", "ink", "muted", "edge", "public", "private", "unknown", "other", "accent"];
const SATELLITES_FROM = 0.9; // the scale at which policies are seen beside their buckets
const RINGED_FROM = 3; // pixels of a public bucket's radius from which its ring can be told from its middle
const WORLD = new Set(["everyone", "aws_authenticated_users"]);

const bucketOf = (node) => node.host ?? node;
const opensToAll = (edge) => bucketOf(edge.from).exposure === "public" && WORLD.has(edge.to.entity._type);

// The edges that speak of a node: its own but for its account's, and those of its policy.
function edgesOf(node) {
  const own = node.edges.filter((edge) => edge.from === node || edge.from.entity._type !== "aws_account");
  const satellites = node.edges.map((edge) => edge.to).filter((end) => end.host === node);
  return own.concat(satellites.flatMap((one) => one.edges.filter((edge) => edge.from === one)));
}

function makeView(canvas, nodes, edges, discs) {
  const context = canvas.getContext("2d");
  const layer = document.createElement("canvas");
  const shown = { selected: null, hovered: null, hits: new Set(), exposures: new Set() };
  const camera = makeCamera(moved);
  let colours = {};
  let lines = null; // the paths of the lines
  let lit = null; // with a filter: the buckets that it shows, and whatever they lead to
  let drawnFor = null; // where the camera was for the layer's picture
  let isAsked = false;
  let resting = 0;

  const isWanted = (node) => shown.exposures.has(bucketOf(node).exposure);
  const isShownEdge = (edge) => !edge.told && (!shown.exposures.size || isWanted(edge.from) || isWanted(edge.to));
  const isDimmed = (node) => lit !== null && !lit.has(node) && node !== shown.selected;

  function readColours() {
    const style = getComputedStyle(document.documentElement);
    colours = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue("--" + name).trim()]));
    restyled();
  }

  // What is drawn has changed, not only where.
  function restyled() {
    const visible = edges.filter(isShownEdge);
    lines = { plain: new Path2D(), open: new Path2D(), counts: { plain: 0, open: 0 } };
    for (const edge of visible) {
      const kind = opensToAll(edge) ? "open" : "plain";
      lines.counts[kind]++;
      lines[kind].moveTo(edge.from.x, edge.from.y);
      lines[kind].lineTo(edge.to.x, edge.to.y);
    }
    // A bucket of another exposure is not shown for being led to.
    const ends = visible.flatMap((edge) => [edge.from, edge.to]).filter((end) => !bucketOf(end).exposure);
    lit = shown.exposures.size ? new Set([...nodes.filter(isWanted), ...ends]) : null;
    drawnFor = null;
    ask();
  }

  function moved() {
    clearTimeout(resting);
    resting = setTimeout(() => {
      drawnFor = null;
      ask();
    }, REST_MS);
    ask();
  }

  function resize() {
    const ratio = window.devicePixelRatio || 1;
    for (const one of [canvas, layer]) {
      one.width = Math.round(innerWidth * ratio);
      one.height = Math.round(innerHeight * ratio);
    }
    drawnFor = null;
    ask();
  }

  function ask() {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      draw();
    });
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    if (!drawnFor) drawLines();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = colours.ground;
    context.fillRect(0, 0, canvas.width, canvas.height);
    camera.enter(context);
    drawDiscs();
    moveLines(ratio);
    camera.enter(context);
    drawEdgesOf(shown.hovered ?? shown.selected);
    drawNodes();
    drawMarks();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const neighbours = (node) => edgesOf(node).flatMap((edge) => [edge.from, edge.to]);
    drawLabels(context, { camera, nodes, discs, shown, colours, isDimmed, neighbours });
    if (!performance.getEntriesByName("first-frame").length) performance.mark("first-frame");
  }

  function drawLines() {
    const target = layer.getContext("2d");
    target.setTransform(1, 0, 0, 1, 0, 0);
    target.clearRect(0, 0, layer.width, layer.height);
    camera.enter(target);
    target.lineWidth = 0.9 / camera.scale;
    // Many lines must not hide the nodes: the more there are, the fainter each is.
    const near = Math.min(2, Math.max(1, camera.scale)) * (shown.selected ? 0.5 : 1);
    const faint = (least, enough, count) => Math.min(0.65, Math.max(least, enough / (count + 1)) * near);
    target.strokeStyle = colours.edge;
    target.globalAlpha = faint(0.028, 260, lines.counts.plain) * 0.7;
    target.stroke(lines.plain);
    target.strokeStyle = colours.public;
    target.globalAlpha = faint(0.22, 30, lines.counts.open);
    target.stroke(lines.open);
    drawnFor = { x: camera.x, y: camera.y, scale: camera.scale };
  }

  function moveLines(ratio) {
    const { x, y, scale } = drawnFor;
    const corner = camera.toScreen({ x: x - innerWidth / 2 / scale, y: y - innerHeight / 2 / scale });
    const grown = camera.scale / scale;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(layer, corner.x * ratio, corner.y * ratio, layer.width * grown, layer.height * grown);
  }

  function drawDiscs() {
    context.lineWidth = 1 / camera.scale;
    context.fillStyle = colours.disc;
    context.strokeStyle = colours.rim;
    for (const disc of discs) {
      context.beginPath();
      context.arc(disc.x, disc.y, disc.radius, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
  }

  // One path for all that look alike; what is public comes last, and is never hidden. It has a ring, or is larger where
  // that could not be seen: red and green look alike to some.
  function drawNodes() {
    const least = 1.1 / camera.scale; // smaller than this would not be seen
    const margin = 10 * camera.scale + 4;
    const isSeen = (node) => (!node.host || camera.scale > SATELLITES_FROM) && camera.isInView(node, margin);
    const style = (node) => node.exposure ?? (node.placeholder && node.isBucket ? "dashed" : "other");
    const visible = nodes.filter(isSeen);
    for (const dimmed of [true, false]) {
      for (const kind of ["other", "dashed", "private", "unknown", "public"]) {
        const alike = visible.filter((node) => style(node) === kind && isDimmed(node) === dimmed);
        const isRinged = (node) => kind === "public" && node.r * camera.scale >= RINGED_FROM;
        context.beginPath();
        for (const node of alike) outline(node, isRinged(node) ? 0.58 * node.r : Math.max(node.r, least));
        context.globalAlpha = dimmed ? 0.12 : 1;
        context.fillStyle = colours[kind] ?? colours.ground;
        context.fill();
        if (kind === "public") {
          context.beginPath();
          for (const node of alike.filter(isRinged)) outline(node, 0.9 * node.r);
          context.strokeStyle = colours.public;
          context.lineWidth = 1.24;
          context.stroke();
        }
        if (kind !== "dashed") continue;
        context.strokeStyle = colours.other;
        context.lineWidth = Math.max(0.8, 0.8 / camera.scale);
        context.setLineDash([2, 1.6]);
        context.stroke();
        context.setLineDash([]);
      }
    }
    context.globalAlpha = 1;
  }

  function outline(node, r) {
    if (node.isBucket || WORLD.has(node.entity._type)) {
      context.moveTo(node.x + r, node.y);
      context.arc(node.x, node.y, r, 0, 2 * Math.PI);
    } else {
      context.rect(node.x - r, node.y - r, 2 * r, 2 * r);
    }
  }

  function drawEdgesOf(node) {
    if (!node) return;
    const own = edgesOf(node);
    context.strokeStyle = colours.accent;
    context.lineWidth = 1.4 / camera.scale;
    context.globalAlpha = own.length > 200 ? 0.25 : 0.85;
    context.beginPath();
    for (const edge of own) {
      context.moveTo(edge.from.x, edge.from.y);
      context.lineTo(edge.to.x, edge.to.y);
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  function drawMarks() {
    const mark = (node, colour, width, away) => {
      context.beginPath();
      context.arc(node.x, node.y, Math.max(node.r, 2 / camera.scale) + away / camera.scale, 0, 2 * Math.PI);
      context.strokeStyle = colour;
      context.lineWidth = width / camera.scale;
      context.stroke();
    };
    if (shown.hits.size <= 1000) for (const node of shown.hits) mark(node, colours.ink, 1.5, 3);
    if (shown.hovered) mark(shown.hovered, colours.accent, 2, 3);
    if (shown.selected) mark(shown.selected, colours.accent, 3, 4);
  }

  // The node under a point of the screen, or the nearest within reach of a finger.
  function nodeAt(x, y) {
    const at = camera.toWorld(x, y);
    let [best, least] = [null, 7 / camera.scale];
    for (const node of nodes) {
      if (isDimmed(node) || (node.host && camera.scale <= SATELLITES_FROM)) continue;
      const away = Math.hypot(node.x - at.x, node.y - at.y) - node.r;
      if (away < least) [best, least] = [node, away];
    }
    return best;
  }

  return { camera, shown, readColours, restyled, ask, resize, nodeAt };
}
