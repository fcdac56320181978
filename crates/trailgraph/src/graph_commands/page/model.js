// The graph as it is drawn: nodes, the edges between them, and how each is told to people.

const KINDS = {
  aws_s3_bucket: "bucket", aws_s3_bucket_policy: "bucket policy", aws_s3_access_point: "access point",
  aws_account: "account", aws_iam_role: "role", aws_iam_user: "user", aws_kms_key: "key", aws_service: "service",
  aws_canonical_user: "canonical user", aws_email_grantee: "e-mail grantee", aws_lambda_function: "function",
  aws_sqs_queue: "queue", aws_sns_topic: "topic", aws_principal: "principal", everyone: "everyone",
  aws_authenticated_users: "everyone with an AWS account",
};
const EXPOSURES = ["public", "unknown", "private"];

// Only stored buckets have an exposure; where `public` is absent it is unknown, never private.
function exposureOf(entity) {
  if (entity._type !== "aws_s3_bucket" || entity.placeholder) return null;
  return entity.public === true ? "public" : entity.public === false ? "private" : "unknown";
}

// The owning account within its partition, or null: such a node is shared.
function accountOf(entity) {
  if (!entity.accountId) return null;
  const partition = entity._key.startsWith("arn:") ? entity._key.split(":")[1] : "aws";
  return partition + ":" + entity.accountId;
}

// The data as it was packed: JSON, gzip, base64.
async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

function readGraph(data) {
  const nodes = data.entities.map((entity) => ({
    entity, key: entity._key, name: String(entity.displayName ?? entity.name ?? entity._key),
    kind: KINDS[entity._type] ?? String(entity._type), isBucket: entity._type === "aws_s3_bucket",
    exposure: exposureOf(entity), account: accountOf(entity), placeholder: entity.placeholder === true,
    host: null, edges: [], x: 0, y: 0, r: 3,
  }));
  const edges = data.relationships.map(([from, to, verb, type, properties]) => {
    const edge = { from: nodes[from], to: nodes[to], verb, type, properties, told: false };
    edge.from.edges.push(edge);
    if (edge.to !== edge.from) edge.to.edges.push(edge);
    // A policy and an access point stand at their bucket, and a bucket in its account: no line need tell it.
    if (edge.to.entity._type === "aws_s3_bucket_policy") edge.to.host = edge.from;
    if (edge.from.entity._type === "aws_s3_access_point") edge.from.host = edge.to;
    edge.told = edge.verb === "HAS" || edge.verb === "CONNECTS";
    return edge;
  });
  return { nodes, edges };
}

// Buckets first; among them the exact name, names that begin so, then names that contain it.
function findNodes(nodes, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const rank = (node) => {
    const name = node.name.toLowerCase();
    const isExact = name === wanted || node.key.toLowerCase() === wanted;
    const match = isExact ? 0 : name.startsWith(wanted) ? 1 : name.includes(wanted) ? 2 : -1;
    return match < 0 ? -1 : match + (node.exposure ? 0 : node.isBucket ? 3 : 6);
  };
  // A policy bears its bucket's name, and would double every hit.
  return nodes.filter((node) => !node.host).map((node) => [rank(node), node])
    .filter(([rank]) => rank >= 0).sort((a, b) => a[0] - b[0]).map(([, node]) => node);
}

const timeText = (ms) => new Date(ms).toISOString().replace(".000Z", "Z");
const countText = (count, one, many = one + "s") => count.toLocaleString("en") + " " + (count === 1 ? one : many);
