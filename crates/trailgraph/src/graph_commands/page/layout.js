// Where everything stands: a function of the graph alone. Each account is a disc with its buckets inside, the public
// ones in the middle; keys, roles and other ends of that account ring it. Ends that belong to no account, everyone
// first, share the disc at the centre, so that what is open to the world points there.

const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));
const SPACING = 8.4; // of a sunflower: neighbours are about 14 apart
const RING_GAP = 20;
const SPIRAL_MOST = 300; // discs; finding room along a spiral takes longer than their number squared

const byKey = (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
const sharedRank = (node) =>
  ["everyone", "aws_authenticated_users", "aws_service", "aws_canonical_user"].indexOf(node.entity._type) >>> 0;

// Places nodes as a sunflower does its seeds, around (0, 0); returns the radius that they fill.
function seed(nodes) {
  nodes.forEach((node, i) => {
    const radius = SPACING * Math.sqrt(i + 0.5);
    node.x = radius * Math.cos(i * GOLDEN_ANGLE);
    node.y = radius * Math.sin(i * GOLDEN_ANGLE);
  });
  return SPACING * Math.sqrt(nodes.length) + 4;
}

// Places nodes on rings outside of `inner`; returns the radius of the last one.
function ring(nodes, inner) {
  let radius = inner;
  for (let done = 0; done < nodes.length;) {
    radius += RING_GAP;
    const here = Math.min(nodes.length - done, Math.max(4, Math.floor((2 * Math.PI * radius) / 18)));
    for (let i = 0; i < here; i++, done++) {
      const angle = Math.PI / 2 + (2 * Math.PI * (i + 0.5)) / here;
      nodes[done].x = radius * Math.cos(angle);
      nodes[done].y = radius * Math.sin(angle);
    }
  }
  return radius;
}

function makeDisc(account, members) {
  const buckets = members.filter((node) => node.exposure);
  const root = members.find((node) => node.entity._type === "aws_account");
  const rest = members.filter((node) => !node.exposure && node !== root);
  const order = (node) => EXPOSURES.indexOf(node.exposure);
  buckets.sort((a, b) => order(a) - order(b) || byKey(a, b));
  rest.sort((a, b) => sharedRank(a) - sharedRank(b) || byKey(a, b));
  // Buckets whose owner no event has told stand with what is shared.
  const core = account ? seed(buckets) : seed([...rest, ...buckets]);
  const radius = Math.max(26, (account ? ring(rest, core) : core) + 12);
  if (root) Object.assign(root, { x: 0, y: -radius });
  const [partition, id] = account ? account.split(":") : ["", "shared, or of unknown owner"];
  const title = partition === "aws" || !account ? id : id + " (" + partition + ")";
  return { account, title, root, members, core: account ? core : 0, radius, x: 0, y: 0, buckets };
}

const greatest = (items, of) => items.reduce((most, item) => Math.max(most, of(item)), -Infinity);

// Room for titles at the scale at which all is seen.
const gapOf = (discs) => Math.max(34, 0.16 * greatest(discs, (disc) => disc.radius));

// Puts the discs around the first one without overlap, larger ones nearer, along a spiral wider than high.
function pack(discs) {
  let turn = 0;
  const gap = gapOf(discs);
  discs.forEach((disc, n) => {
    for (;; turn++) {
      const along = n === 0 ? 0 : 12 * Math.sqrt(turn);
      disc.x = 1.5 * along * Math.cos(turn * 0.13);
      disc.y = along * Math.sin(turn * 0.13);
      const free = (other) => Math.hypot(disc.x - other.x, disc.y - other.y) >= disc.radius + other.radius + gap;
      if (discs.slice(0, n).every(free)) break;
    }
  });
}

// Puts many discs in rows, larger ones first, in a rectangle wider than high around (0, 0).
function shelve(discs) {
  const gap = gapOf(discs);
  const size = (disc) => 2 * disc.radius + gap;
  const width = Math.sqrt(1.6 * discs.reduce((area, disc) => area + size(disc) ** 2, 0));
  let [x, y, height] = [0, 0, 0];
  for (const disc of [...discs].sort((a, b) => b.radius - a.radius)) {
    if (x + size(disc) > width) [x, y, height] = [0, y + height, 0];
    height ||= size(disc); // the first of a row is its largest
    disc.x = x + size(disc) / 2 - width / 2;
    disc.y = y + height / 2;
    x += size(disc);
  }
  for (const disc of discs) disc.y -= (y + height) / 2;
}

function layOut(nodes) {
  const groups = new Map([["", []]]);
  for (const node of nodes) {
    node.r = node.exposure === "public" ? 6.2 : node.isBucket ? 4 : node.entity._type === "everyone" ? 7 : 3.5;
    if (node.host) continue;
    const account = node.account ?? "";
    if (!groups.has(account)) groups.set(account, []);
    groups.get(account).push(node);
  }
  const [shared, ...accounts] = [...groups].map(([account, members]) => makeDisc(account, members));
  accounts.sort((a, b) => b.radius - a.radius || (a.account < b.account ? -1 : 1));
  const discs = shared.members.length ? [shared, ...accounts] : accounts;
  (discs.length > SPIRAL_MOST ? shelve : pack)(discs);
  for (const disc of discs) {
    for (const node of disc.members) {
      node.x += disc.x;
      node.y += disc.y;
    }
  }
  const beside = new Map();
  for (const node of nodes.filter((node) => node.host)) {
    const nth = beside.get(node.host) ?? 0;
    beside.set(node.host, nth + 1);
    const angle = Math.PI / 4 + nth * 0.9;
    const away = node.host.r + 2;
    Object.assign(node, { x: node.host.x + away * Math.cos(angle), y: node.host.y + away * Math.sin(angle), r: 1.6 });
  }
  return discs;
}
