// Which part of the world the screen shows, and how large.

const SCALE_LEAST = 0.02;
const SCALE_MOST = 12;

function makeCamera(onMove) {
  const camera = { x: 0, y: 0, scale: 1, inset: [0, 0, 0, 0] };

  camera.toScreen = ({ x, y }) => ({
    x: (x - camera.x) * camera.scale + innerWidth / 2,
    y: (y - camera.y) * camera.scale + innerHeight / 2,
  });
  camera.toWorld = (x, y) => ({
    x: (x - innerWidth / 2) / camera.scale + camera.x,
    y: (y - innerHeight / 2) / camera.scale + camera.y,
  });

  // Has `context` draw in the world's coordinates.
  camera.enter = (context) => {
    const ratio = window.devicePixelRatio || 1;
    const corner = camera.toScreen({ x: 0, y: 0 });
    const scale = ratio * camera.scale;
    context.setTransform(scale, 0, 0, scale, ratio * corner.x, ratio * corner.y);
  };

  camera.isInView = (point, margin) => {
    const at = camera.toScreen(point);
    return at.x > -margin && at.y > -margin && at.x < innerWidth + margin && at.y < innerHeight + margin;
  };

  // The part of the screen that no card covers: `inset` is top, right, bottom, left.
  camera.free = () => {
    const [top, right, bottom, left] = camera.inset;
    const [width, height] = [innerWidth - left - right, innerHeight - top - bottom];
    return { x: left + width / 2, y: top + height / 2, width, height };
  };

  camera.centre = (point, scale = camera.scale) => {
    const middle = camera.free();
    camera.scale = scale;
    camera.x = point.x - (middle.x - innerWidth / 2) / scale;
    camera.y = point.y - (middle.y - innerHeight / 2) / scale;
    onMove();
  };

  camera.pan = (dx, dy) => {
    camera.x += dx / camera.scale;
    camera.y += dy / camera.scale;
    onMove();
  };

  // What lies under (x, y) stays there.
  camera.zoom = (factor, x, y) => {
    const before = camera.toWorld(x, y);
    camera.scale = Math.min(SCALE_MOST, Math.max(SCALE_LEAST, camera.scale * factor));
    const after = camera.toWorld(x, y);
    camera.pan((before.x - after.x) * camera.scale, (before.y - after.y) * camera.scale);
  };

  // Shows all discs, with room for their titles.
  camera.fit = (discs) => {
    if (!discs.length) return;
    const edge = (side, sign) => sign * greatest(discs, (disc) => sign * disc[side] + disc.radius);
    const [left, right, top, bottom] = [edge("x", -1), edge("x", 1), edge("y", -1), edge("y", 1)];
    const { width, height } = camera.free();
    const scale = Math.min((width - 40) / (right - left), (height - 90) / (bottom - top), 3);
    camera.centre({ x: (left + right) / 2, y: (top + bottom) / 2 - 12 / scale }, Math.max(scale, SCALE_LEAST));
  };

  return camera;
}
