// The bird's-eye view on a canvas. In: the place once, then snapshots; out: `onPick(track id)`.
//
// Ground (lanes, zones) is painted once per zoom level; road users, lights and events on every
// frame. Between two snapshots road users move along the line between two told positions, so the
// picture is one snapshot late and shows nothing that was not told.

export const COLOURS = {
  car: "#64a9ff", van: "#8ec5ff", truck: "#b69cff", bus: "#ff9f5a", motorcycle: "#ffd75e",
  bicycle: "#5fe3c0", pedestrian: "#ff7ab8", animal: "#c8e06a", obstacle: "#ff6464", unknown: "#c3cedb",
};
const LIGHTS = {
  red: "#ff4d4d", "flashing-red": "#ff4d4d", yellow: "#ffc93c", "flashing-yellow": "#ffc93c",
  "permissive-green": "#31d67b", "protected-green": "#31d67b", "flashing-green": "#31d67b",
  dark: "#39424f", unavailable: "#39424f",
};
const BAYS = { free: "#1d5a3f", occupied: "#27508a", closed: "#333b47", unknown: "#20293a" };
const ROAD = { vehicle: "#222b38", bike: "#1f3a39", crosswalk: "#222b38", sidewalk: "#1a212b", "parking-aisle": "#222b38", tracked: "#2b2a36" };
const CROSSING_M = 100; // what is shown of a junction at first; its legs go on beyond
const HEADING_UNKNOWN = 0.8; // rad, 1 σ: 95 % are half a turn; drawn round, since it points nowhere
const FRAME_MS = 50;
const LEAST_MS = 150; // between two snapshots, for drawing
const MOST_MS = 600;

export const shortId = (id) => String(id % 10000); // what precedes it names the start of the unit

export class BirdsEye {
  constructor(canvas, onPick) {
    this.canvas = canvas;
    this.onPick = onPick;
    this.place = null;
    this.snapshot = null;
    this.before = new Map();
    this.arrived = 0;
    this.span = LEAST_MS;
    this.chosen = null;
    this.scale = 4; // px per m
    this.centre = [0, 0];
    this.ground = document.createElement("canvas");
    this.groundKey = "";
    this.painted = 0;
    this.listen();
    new ResizeObserver(() => this.resize()).observe(canvas);
    const loop = (now) => {
      if (now - this.painted >= FRAME_MS && !document.hidden) { this.painted = now; this.paint(now); }
      requestAnimationFrame(loop);
    };
    requestAnimationFrame(loop);
  }

  setPlace(place) {
    this.place = place;
    this.fit();
  }

  take(snapshot) {
    const now = performance.now();
    const last = new Map();
    if (this.snapshot) {
      for (const track of this.snapshot.tracks.list) last.set(track.id, this.shown(track, now));
    }
    this.before = last;
    this.snapshot = snapshot;
    this.span = Math.min(MOST_MS, Math.max(LEAST_MS, now - this.arrived));
    this.arrived = now;
  }

  fit() {
    if (!this.place) return;
    const bays = this.place.zones.filter((zone) => zone.kind === "bay").flatMap((zone) => zone.ring);
    const points = bays.length ? bays : this.place.lanes.flatMap((lane) => lane.line);
    const box = this.canvas.getBoundingClientRect();
    if (!points.length || !box.width) return;
    // The middle of the place fills the view: the ends of long legs may lie outside.
    const xs = points.map((p) => p[0]).sort((a, b) => a - b);
    const ys = points.map((p) => p[1]).sort((a, b) => a - b);
    const cut = (list) => [list[Math.floor((list.length - 1) * 0.04)], list[Math.ceil((list.length - 1) * 0.96)]];
    const [[x0, x1], [y0, y1]] = [cut(xs), cut(ys)];
    this.centre = [(x0 + x1) / 2, (y0 + y1) / 2];
    const whole = Math.min(box.width / (x1 - x0 + 25), box.height / (y1 - y0 + 12));
    const crossing = this.place.zones.some((zone) => zone.kind === "junction") || this.place.lights.length > 0;
    this.scale = crossing ? Math.min(box.width, box.height) / CROSSING_M : whole;
    if (crossing) this.centre = [0, 0];
  }

  resize() {
    const box = this.canvas.getBoundingClientRect();
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const first = !this.width;
    this.width = box.width;
    this.height = box.height;
    this.ratio = ratio;
    this.canvas.width = Math.max(1, Math.round(box.width * ratio));
    this.canvas.height = Math.max(1, Math.round(box.height * ratio));
    if (first) this.fit();
    this.paint(performance.now());
  }

  // --- geometry ---

  toScreen(x, y) {
    return [this.width / 2 + (x - this.centre[0]) * this.scale, this.height / 2 - (y - this.centre[1]) * this.scale];
  }

  toGround(px, py) {
    return [this.centre[0] + (px - this.width / 2) / this.scale, this.centre[1] - (py - this.height / 2) / this.scale];
  }

  shown(track, now) {
    const last = this.before.get(track.id);
    const share = Math.min(1, (now - this.arrived) / this.span);
    if (!last || Math.hypot(last[0] - track.x, last[1] - track.y) > 15) return [track.x, track.y, track.heading];
    const turn = Math.atan2(Math.sin(track.heading - last[2]), Math.cos(track.heading - last[2]));
    return [last[0] + (track.x - last[0]) * share, last[1] + (track.y - last[1]) * share, last[2] + turn * share];
  }

  // --- hands ---

  listen() {
    const canvas = this.canvas;
    const fingers = new Map();
    let moved = 0;
    let spread = 0;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, at(event));
      moved = 0;
      spread = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const here = at(event);
      const last = fingers.get(event.pointerId);
      if (!last) { canvas.classList.toggle("over", this.nearest(here) !== null); return; }
      fingers.set(event.pointerId, here);
      if (fingers.size === 1) {
        moved += Math.hypot(here[0] - last[0], here[1] - last[1]);
        this.centre = [this.centre[0] - (here[0] - last[0]) / this.scale, this.centre[1] + (here[1] - last[1]) / this.scale];
      } else {
        const [a, b] = [...fingers.values()];
        const now = Math.hypot(a[0] - b[0], a[1] - b[1]);
        if (spread) this.zoom(now / spread, [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]);
        spread = now;
        moved = 99;
      }
    });
    const up = (event) => {
      const here = fingers.get(event.pointerId);
      fingers.delete(event.pointerId);
      if (here && moved < 6 && event.type === "pointerup") this.onPick(this.nearest(here));
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * 0.0015), at(event));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (step) this.centre = [this.centre[0] + (step[0] * 60) / this.scale, this.centre[1] + (step[1] * 60) / this.scale];
      else if (event.key === "+") this.zoom(1.25);
      else if (event.key === "-") this.zoom(0.8);
      else if (event.key === "0") this.fit();
      else return;
      event.preventDefault();
    });
  }

  zoom(factor, about = [this.width / 2, this.height / 2]) {
    const fixed = this.toGround(...about);
    this.scale = Math.min(60, Math.max(0.8, this.scale * factor));
    const now = this.toGround(...about);
    this.centre = [this.centre[0] + fixed[0] - now[0], this.centre[1] + fixed[1] - now[1]];
  }

  nearest([px, py]) {
    let best = null;
    let least = 22; // px: a fingertip
    const now = performance.now();
    for (const track of this.snapshot?.tracks.list ?? []) {
      const [x, y] = this.shown(track, now);
      const [sx, sy] = this.toScreen(x, y);
      const away = Math.hypot(px - sx, py - sy);
      const size = Math.min(18, (track.length * this.scale) / 3);
      if (away - size < least) { least = away - size; best = track.id; }
    }
    return best;
  }

  bring(id) {
    // Moves the view to a road user that is outside of it.
    const at = this.screenOf(id);
    const track = this.snapshot?.tracks.list.find((one) => one.id === id);
    if (at && (at[0] < 20 || at[1] < 20 || at[0] > this.width - 20 || at[1] > this.height - 20)) this.centre = [track.x, track.y];
  }

  screenOf(id) {
    const track = this.snapshot?.tracks.list.find((one) => one.id === id);
    return track ? this.toScreen(...this.shown(track, performance.now()).slice(0, 2)) : null;
  }

  // --- painting ---

  paint(now) {
    const pen = this.canvas.getContext("2d");
    if (!this.width) return;
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    if (!this.place) { pen.clearRect(0, 0, this.width, this.height); return; }
    this.paintGround();
    pen.drawImage(this.ground, 0, 0, this.width, this.height);
    const snapshot = this.snapshot;
    if (snapshot) {
      this.paintBays(pen, snapshot);
      this.paintQueues(pen, snapshot);
      this.paintLights(pen, snapshot);
      this.paintEvents(pen, snapshot, now);
      for (const track of snapshot.tracks.list) this.paintTrail(pen, track, now);
      for (const track of snapshot.tracks.list) this.paintTrack(pen, track, now);
    }
    this.paintScale(pen);
  }

  paintGround() {
    const key = [this.centre, this.scale, this.width, this.height, this.ratio].join();
    if (key === this.groundKey) return;
    this.groundKey = key;
    this.ground.width = this.canvas.width;
    this.ground.height = this.canvas.height;
    const pen = this.ground.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.fillStyle = "#0f151d";
    pen.fillRect(0, 0, this.width, this.height);
    const { lanes, zones } = this.place;
    pen.lineCap = "butt";
    pen.lineJoin = "round";
    for (const zone of zones) if (zone.kind === "junction") this.polygon(pen, zone.ring, ROAD.vehicle);
    const order = ["sidewalk", "vehicle", "parking-aisle", "bike", "tracked"];
    for (const kind of order) {
      for (const lane of lanes) if (lane.kind === kind) this.stroke(pen, lane.line, ROAD[kind], lane.width * this.scale + 0.7);
    }
    for (const zone of zones) if (zone.kind !== "junction" && zone.kind !== "bay") this.zone(pen, zone);
    for (const lane of lanes) if (lane.kind !== "crosswalk" && lane.kind !== "sidewalk" && lane.role !== "connection") this.edges(pen, lane);
    for (const lane of lanes) if (lane.role === "connection" && lane.kind === "vehicle") this.stroke(pen, lane.line, "#33404f", 1, [4, 7]);
    for (const lane of lanes) if (lane.kind === "crosswalk") this.zebra(pen, lane);
    for (const lane of lanes) if (lane.stop) this.stroke(pen, lane.stop, "#8996a8", Math.max(1.2, 0.35 * this.scale));
    for (const sensor of this.place.sensors) if (sensor.x !== undefined) this.sensor(pen, sensor);
  }

  polygon(pen, ring, fill, line = null, dash = []) {
    pen.beginPath();
    ring.forEach((point, index) => pen[index ? "lineTo" : "moveTo"](...this.toScreen(...point)));
    pen.closePath();
    if (fill) { pen.fillStyle = fill; pen.fill(); }
    if (line) { pen.strokeStyle = line; pen.lineWidth = 1; pen.setLineDash(dash); pen.stroke(); pen.setLineDash([]); }
  }

  stroke(pen, line, colour, width, dash = []) {
    pen.beginPath();
    line.forEach((point, index) => pen[index ? "lineTo" : "moveTo"](...this.toScreen(...point)));
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.setLineDash(dash);
    pen.stroke();
    pen.setLineDash([]);
  }

  zone(pen, zone) {
    const danger = zone.kind === "fire-lane" || zone.kind === "no-stopping" || zone.kind === "work";
    this.polygon(pen, zone.ring, danger ? "#ff646412" : "#ffffff08", danger ? "#ff646470" : "#4a586a", [5, 5]);
  }

  edges(pen, lane) {
    for (const side of [-0.5, 0.5]) {
      const line = lane.line.map((point, index) => {
        const a = lane.line[Math.max(0, index - 1)];
        const b = lane.line[Math.min(lane.line.length - 1, index + 1)];
        const length = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
        return [point[0] - ((b[1] - a[1]) / length) * lane.width * side, point[1] + ((b[0] - a[0]) / length) * lane.width * side];
      });
      this.stroke(pen, line, "#4a586a", 1, side > 0 ? [] : [8, 8]);
    }
    if (this.scale > 2.5 && !lane.both) this.arrows(pen, lane);
  }

  arrows(pen, lane) {
    const [a, b] = lane.line.slice(-2);
    const angle = Math.atan2(b[1] - a[1], b[0] - a[0]);
    const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
    if (length < 12) return;
    const [x, y] = this.toScreen(b[0] - Math.cos(angle) * 12, b[1] - Math.sin(angle) * 12);
    pen.save();
    pen.translate(x, y);
    pen.rotate(-angle);
    pen.fillStyle = "#4a586a";
    const s = Math.min(6, this.scale * 0.8);
    pen.beginPath();
    pen.moveTo(s * 1.4, 0);
    pen.lineTo(-s * 0.7, s * 0.8);
    pen.lineTo(-s * 0.7, -s * 0.8);
    pen.fill();
    pen.restore();
  }

  zebra(pen, lane) {
    const m = this.scale;
    this.stroke(pen, lane.line, "#7d8a9c55", lane.width * m, [0.5 * m, 0.6 * m]);
  }

  sensor(pen, sensor) {
    const [x, y] = this.toScreen(sensor.x, sensor.y);
    pen.save();
    pen.translate(x, y);
    pen.rotate(-sensor.heading);
    if (sensor.view) {
      const reach = 26;
      const wedge = pen.createRadialGradient(0, 0, 2, 0, 0, reach);
      wedge.addColorStop(0, "#3ddbb455");
      wedge.addColorStop(1, "#3ddbb400");
      pen.fillStyle = wedge;
      pen.beginPath();
      pen.moveTo(0, 0);
      pen.arc(0, 0, reach, -sensor.view / 2, sensor.view / 2);
      pen.fill();
    }
    pen.fillStyle = sensor.kind === "radar" ? "#ffbf47" : "#3ddbb4";
    pen.beginPath();
    pen.arc(0, 0, 4, 0, 7);
    pen.fill();
    pen.restore();
  }

  paintBays(pen, snapshot) {
    const states = new Map(snapshot.parking.flatMap((lot) => lot.bays.map((bay) => [bay.bay, bay])));
    for (const zone of this.place.zones) {
      if (zone.kind !== "bay") continue;
      const bay = states.get(zone.id);
      this.polygon(pen, zone.ring, BAYS[bay?.status ?? "unknown"], bay?.misuse.length ? "#ff6464" : "#5b6a7e");
    }
  }

  paintQueues(pen, snapshot) {
    const lanes = new Map(this.place.lanes.map((lane) => [lane.id, lane]));
    for (const state of snapshot.lanes.list) {
      const lane = lanes.get(state.lane);
      if (!state.queue || !lane || lane.role === "connection") continue;
      this.stroke(pen, tail(lane.line, state.queue.length), state.queue.spill_back ? "#ff646440" : "#ffbf4726", lane.width * 0.8 * this.scale);
    }
  }

  paintLights(pen, snapshot) {
    const lights = new Map();
    for (const controller of snapshot.signals) {
      const old = controller.age_s > 1;
      for (const group of controller.groups) lights.set(group.group, { ...group, old });
    }
    const blink = Math.floor(performance.now() / 400) % 2 === 0;
    const colourOf = (group) => {
      const light = lights.get(group);
      if (!light || light.old) return "#39424f";
      return light.light.startsWith("flashing") && blink ? "#39424f" : LIGHTS[light.light] ?? "#39424f";
    };
    for (const light of this.place.lights) {
      const dx = -Math.sin(light.heading) * light.width * 0.44;
      const dy = Math.cos(light.heading) * light.width * 0.44;
      this.stroke(pen, [[light.x + dx, light.y + dy], [light.x - dx, light.y - dy]], colourOf(light.group), Math.max(3, 0.75 * this.scale));
      this.turns(pen, light, colourOf(light.group));
    }
    for (const lane of this.place.lanes) {
      if (lane.kind !== "crosswalk" || lane.group === null) continue;
      for (const end of [lane.line[0], lane.line[lane.line.length - 1]]) {
        const [x, y] = this.toScreen(...end);
        pen.fillStyle = colourOf(lane.group);
        pen.beginPath();
        pen.arc(x, y, Math.max(2.5, 0.45 * this.scale), 0, 7);
        pen.fill();
      }
    }
  }

  turns(pen, light, colour) {
    if (this.scale < 4) return;
    const [x, y] = this.toScreen(light.x - Math.cos(light.heading) * 3.4, light.y - Math.sin(light.heading) * 3.4);
    pen.save();
    pen.translate(x, y);
    pen.rotate(-light.heading);
    pen.strokeStyle = colour;
    pen.lineWidth = 1.6;
    const s = Math.min(9, this.scale * 1.1);
    for (const turn of light.turns) {
      const side = turn === "left" || turn === "u-turn" ? -1 : turn === "right" ? 1 : 0;
      pen.beginPath();
      pen.moveTo(-s, 0);
      if (side) { pen.lineTo(0, 0); pen.lineTo(s * 0.3, side * s * 0.7); } else pen.lineTo(s, 0);
      pen.stroke();
    }
    pen.restore();
  }

  paintEvents(pen, snapshot, now) {
    const where = new Map(snapshot.tracks.list.map((track) => [track.id, track]));
    for (const event of snapshot.events) {
      if (event.ended) continue;
      const [x, y] = this.toScreen(event.x, event.y);
      const colour = event.conflict || event.severity >= 5 ? "#ff6464" : "#ffbf47";
      const radius = Math.max(10, event.radius * this.scale);
      pen.strokeStyle = colour;
      pen.fillStyle = `${colour}1c`;
      pen.lineWidth = 1.5;
      pen.setLineDash([6, 4]);
      pen.lineDashOffset = -now / 60;
      pen.beginPath();
      pen.arc(x, y, radius, 0, 7);
      pen.fill();
      pen.stroke();
      pen.setLineDash([]);
      if (event.conflict) {
        const point = this.toScreen(event.conflict.x, event.conflict.y);
        for (const id of event.conflict.tracks) {
          const track = where.get(id);
          if (!track) continue;
          const [tx, ty] = this.shown(track, now);
          pen.beginPath();
          pen.moveTo(...this.toScreen(tx, ty));
          pen.lineTo(...point);
          pen.stroke();
        }
      }
      pen.fillStyle = colour;
      pen.beginPath();
      pen.moveTo(x, y - radius - 15);
      pen.lineTo(x + 8, y - radius - 2);
      pen.lineTo(x - 8, y - radius - 2);
      pen.fill();
      pen.fillStyle = "#1b1204";
      pen.font = "bold 10px system-ui, sans-serif";
      pen.textAlign = "center";
      pen.fillText("!", x, y - radius - 4);
    }
  }

  paintTrail(pen, track, now) {
    if (track.trail.length < 1 || track.speed < 0.3) return;
    const points = [...track.trail, this.shown(track, now)].map((p) => this.toScreen(p[0], p[1]));
    pen.lineWidth = 2;
    pen.strokeStyle = COLOURS[track.class] ?? COLOURS.unknown;
    for (let i = 1; i < points.length; i++) {
      pen.globalAlpha = (0.5 * i) / points.length;
      pen.beginPath();
      pen.moveTo(...points[i - 1]);
      pen.lineTo(...points[i]);
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  paintTrack(pen, track, now) {
    const [gx, gy, heading] = this.shown(track, now);
    const [x, y] = this.toScreen(gx, gy);
    if (x < -60 || y < -60 || x > this.width + 60 || y > this.height + 60) return;
    const m = this.scale;
    const colour = COLOURS[track.class] ?? COLOURS.unknown;
    const coasting = track.status !== "confirmed";
    const chosen = track.id === this.chosen;
    pen.save();
    pen.translate(x, y);
    const [major, minor, angle] = track.ellipse;
    const ellipse = new Path2D();
    ellipse.ellipse(0, 0, Math.max(2, major * m), Math.max(2, minor * m), -angle, 0, 7);
    pen.fillStyle = `${colour}${chosen ? "38" : "26"}`;
    pen.fill(ellipse);
    pen.rotate(-heading);
    pen.globalAlpha = coasting ? 0.5 : 1;
    if (track.speed > 0.8) {
      pen.beginPath();
      pen.moveTo(0, 0);
      pen.lineTo(track.speed * 1.2 * m, 0);
      pen.strokeStyle = `${colour}b0`;
      pen.lineWidth = 1.4;
      pen.stroke();
    }
    pen.fillStyle = colour;
    const long = Math.max(7, track.length * m);
    const wide = Math.max(5, track.width * m);
    if (track.class === "pedestrian" || track.class === "animal") {
      pen.beginPath();
      pen.arc(0, 0, Math.max(4, 0.45 * m), 0, 7);
      pen.fill();
    } else if (track.heading_std > HEADING_UNKNOWN) {
      pen.beginPath();
      pen.arc(0, 0, wide * 0.7, 0, 7);
      pen.fill();
    } else {
      pen.beginPath();
      pen.roundRect(-long / 2, -wide / 2, long, wide, Math.min(4, wide / 3));
      pen.fill();
      pen.fillStyle = "#0b101780";
      pen.fillRect(long * 0.12, -wide * 0.36, long * 0.16, wide * 0.72);
    }
    pen.rotate(heading);
    pen.globalAlpha = 1;
    // Over the body: a well known car is larger than what is uncertain about it.
    pen.setLineDash(coasting ? [3, 3] : []);
    for (const [width, stroke] of [[chosen ? 4 : 3, "#0b1017a0"], [chosen ? 1.8 : 1.2, chosen ? "#ffffff" : pale(colour)]]) {
      pen.lineWidth = width;
      pen.strokeStyle = stroke;
      pen.stroke(ellipse);
    }
    pen.restore();
    if (chosen) {
      pen.strokeStyle = "#ffffff";
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(x, y, Math.max(16, (track.length * m) / 2 + 7), 0, 7);
      pen.stroke();
    }
    if (m >= 3.2 || chosen) this.label(pen, track, x, y, chosen);
  }

  label(pen, track, x, y, chosen) {
    const text = track.speed > 0.5 ? `${shortId(track.id)} · ${Math.round(track.speed * 3.6)}` : shortId(track.id);
    pen.font = `${chosen ? "bold " : ""}11px system-ui, sans-serif`;
    pen.textAlign = "left";
    const left = x + Math.max(9, track.width * this.scale * 0.6);
    const top = y - Math.max(9, track.width * this.scale * 0.6);
    pen.lineWidth = 3;
    pen.strokeStyle = "#0b1017d0";
    pen.strokeText(text, left, top);
    pen.fillStyle = chosen ? "#ffffff" : "#c6d0dd";
    pen.fillText(text, left, top);
  }

  paintScale(pen) {
    const steps = [1, 2, 5, 10, 20, 50, 100, 200];
    const metres = steps.find((step) => step * this.scale >= 60) ?? 200;
    const right = this.width - 56;
    const bottom = this.height - 20;
    pen.strokeStyle = pen.fillStyle = "#8b98aa";
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(right - metres * this.scale, bottom - 5);
    pen.lineTo(right - metres * this.scale, bottom);
    pen.lineTo(right, bottom);
    pen.lineTo(right, bottom - 5);
    pen.stroke();
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.fillText(`${metres} m`, right - (metres * this.scale) / 2, bottom - 6);
    pen.save();
    pen.translate(this.width - 26, 30);
    pen.beginPath();
    pen.moveTo(0, -14);
    pen.lineTo(6, 6);
    pen.lineTo(0, 2);
    pen.lineTo(-6, 6);
    pen.fill();
    pen.fillText("N", 0, 20);
    pen.restore();
  }
}

function pale(colour) {
  // Half way to white, #rrggbb.
  return `#${[1, 3, 5].map((at) => ((parseInt(colour.slice(at, at + 2), 16) + 255) >> 1).toString(16).padStart(2, "0")).join("")}`;
}

function tail(line, length) {
  // The last `length` metres of a line.
  const points = [line[line.length - 1]];
  let left = length;
  for (let i = line.length - 1; i > 0 && left > 0; i--) {
    const [a, b] = [line[i - 1], line[i]];
    const step = Math.hypot(b[0] - a[0], b[1] - a[1]);
    const share = Math.min(1, left / (step || 1));
    points.unshift([b[0] + (a[0] - b[0]) * share, b[1] + (a[1] - b[1]) * share]);
    left -= step;
  }
  return points;
}
