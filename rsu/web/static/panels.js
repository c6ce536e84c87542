// The panels beside the map: each a function from (snapshot, page) to DOM nodes. Text only ever goes
// in as text, never as markup: a message heard on the air must not write into this page.

import { COLOURS, shortId } from "/assets/map.js";
import { barChart, lineChart } from "/assets/charts.js";
import { t } from "/assets/texts.js";

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const seconds = (s) => (s === null || s === undefined ? "–" : s < 10 ? `${s.toFixed(1)} s` : s < 120 ? `${Math.round(s)} s` : s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`);
const number = (value, digits = 0) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const kmh = (speed) => (speed === null || speed === undefined ? "–" : `${Math.round(speed * 3.6)}`);
const compass = (heading) => `${Math.round((((90 - (heading * 180) / Math.PI) % 360) + 360) % 360)}°`;
const percent = (share) => `${Math.round(share * 100)} %`;
export const clockTime = (ms) => new Date(ms).toLocaleTimeString(document.documentElement.lang, { hour12: false });

function table(heads, rows) {
  return h("table", {},
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { class: head.n ? "n" : null }, head.text ?? "")))),
    h("tbody", {}, rows.map((row) => h("tr", { class: row.class, onclick: row.onclick ?? null }, row.cells.map((cell, index) =>
      h("td", { class: [heads[index]?.n ? "n" : "", cell?.class ?? ""].join(" ").trim() || null }, cell?.node ?? cell?.text ?? cell ?? ""))))));
}

function facts(rows) {
  return h("dl", {}, rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

const swatch = (kind) => {
  const node = h("span", { class: "swatch" });
  node.style.background = COLOURS[kind] ?? COLOURS.unknown;
  return node;
};
const empty = (key) => h("div", { class: "empty" }, t(key));

// --- road users ---

export function objects(snapshot, page) {
  const list = snapshot.tracks.list;
  const nodes = [];
  if (page.chosen !== null) nodes.push(details(list.find((track) => track.id === page.chosen), page));
  else nodes.push(h("p", { class: "dim" }, t("pick_hint")));
  if (!list.length) return [...nodes, empty("no_tracks")];
  const sorted = [...list].sort((a, b) => b.speed - a.speed || a.id - b.id);
  nodes.push(table(
    [{ text: t("id") }, { text: t("class") }, { text: "km/h", n: true }, { text: t("heading"), n: true }, { text: t("accuracy"), n: true }, { text: t("seen_short"), n: true }],
    sorted.map((track) => ({
      class: `link${track.id === page.chosen ? " chosen" : ""}`,
      onclick: () => page.choose(track.id),
      cells: [shortId(track.id), { node: h("span", {}, swatch(track.class), t(`c.${track.class}`)) },
        track.speed > 0.5 ? kmh(track.speed) : { text: t("parked"), class: "dim" },
        track.speed > 0.5 ? compass(track.heading) : "–",
        `${track.ellipse[0].toFixed(1)} m`,
        { text: seconds(track.seen_s), class: track.seen_s > 1 ? "warn" : "" }],
    }))));
  return nodes;
}

function details(track, page) {
  const close = h("button", { class: "plain", type: "button", onclick: () => page.choose(null) }, t("unselect"));
  if (!track) return h("div", { class: "card", id: "details" }, h("p", { class: "dim" }, t("gone_track", { id: page.chosen })), close);
  const [major, minor, angle] = track.ellipse;
  return h("div", { class: "card", id: "details", "data-track": track.id },
    h("h3", {}, swatch(track.class), `${t(`c.${track.class}`)} ${shortId(track.id)}`, h("span", { class: "dim" }, percent(track.p))),
    facts([
      [t("speed"), `${kmh(track.speed)} ± ${(1.96 * 3.6 * track.speed_std).toFixed(1)} km/h`],
      [t("heading"), `${compass(track.heading)} ± ${Math.min(180, Math.round((1.96 * track.heading_std * 180) / Math.PI))}°`],
      [t("position"), `${Math.abs(track.x).toFixed(1)} m ${track.x < 0 ? "W" : "E"}, ${Math.abs(track.y).toFixed(1)} m ${track.y < 0 ? "S" : "N"}`],
      [t("uncertainty"), `${major.toFixed(2)} × ${minor.toFixed(2)} m, ${compass(angle)}`],
      [t("size"), `${track.length.toFixed(1)} × ${track.width.toFixed(1)} m`],
      [t("existence"), percent(track.existence)],
      [t("state"), `${t(track.status)}, ${t("seen")} ${t("ago", { s: track.seen_s.toFixed(1) })}`],
      [t("tracked"), seconds(track.since_s)],
      [t("id"), `${track.id}`],
      [t("seen_by"), track.sources.join(", ") || "–"],
    ]), close);
}

// --- events ---

export function events(snapshot, page) {
  if (!snapshot.events.length) return [empty("no_events")];
  const block = (key, ended) => {
    const list = snapshot.events.filter((event) => event.ended === ended);
    return list.length ? [h("h2", {}, t(key)), ...list.map((event) => eventCard(event, page))] : [];
  };
  return [...block("going_on", false), ...block("over", true)];
}

function eventCard(event, page) {
  const marks = [`${t("since")} ${clockTime(event.start_ms)}`, `${t(event.ended ? "lasted" : "lasts")} ${seconds(event.lasts_s)}`, `${t("confidence")} ${percent(event.confidence)}`];
  if (event.lanes.length) marks.push(`${t("lanes")} ${event.lanes.join(", ")}`);
  if (event.code) marks.push(`GB/T 29100: ${event.code}`);
  if (event.ending) marks.push(t(`ending.${event.ending}`));
  return h("div", { class: "card", "data-event": event.kind },
    h("h3", {}, h("span", { class: `dot ${event.ended ? "" : event.conflict || event.severity >= 5 ? "bad" : "warn"}` }), eventName(event)),
    event.conflict ? h("p", { class: "warn" }, conflictText(event)) : null,
    h("div", { class: "dim" }, marks.join(" · ")),
    h("div", { class: "row" }, event.tracks.slice(0, 8).map((id) => h("button", { class: "plain", type: "button", onclick: () => page.choose(id) }, `#${shortId(id)}`)),
      h("button", { class: "plain", type: "button", onclick: () => page.look(event.x, event.y) }, t("locate"))),
    event.snapshots.length ? h("div", { class: "looks" }, event.snapshots.map((look) => lookCard(look, page))) : null);
}

const thumbs = new Map(); // by address: a card is made anew all the time, its picture must not blink

function thumb(address) {
  if (!thumbs.has(address)) {
    const image = h("img", { src: address, alt: "", loading: "lazy" });
    image.addEventListener("error", () => { image.hidden = true; }); // the unit has dropped it
    thumbs.set(address, image);
    if (thumbs.size > 200) thumbs.delete(thumbs.keys().next().value);
  }
  return thumbs.get(address);
}

// What an event began with: a sensor's look by its number, and a picture of it where there is one.
function lookCard(look, page) {
  const named = `${look.sensor} #${look.number} · ${clockTime(look.time_ms)}`;
  if (look.picture === null || page.past) return h("figure", {}, h("figcaption", {}, named));
  const marks = [t(look.masked ? "masked" : "unmasked"), ...(look.off_s ? [t("look_off", { s: `${look.off_s > 0 ? "+" : ""}${look.off_s.toFixed(1)}` })] : [])];
  return h("figure", {},
    thumb(`/api/preview?sensor=${encodeURIComponent(look.sensor)}&frame=${look.picture}`),
    h("figcaption", {}, named, h("br"), marks.join(" · ")));
}

export const eventName = (event) => t(`k.${event.kind}`);
export const conflictText = (event) => t("conflict_in", { s: event.conflict.in_s.toFixed(1), p: Math.round(event.conflict.probability * 100) });

// --- cameras: nodes stay, their canvases are painted again ---

export class CameraPanel {
  constructor() {
    this.cards = new Map();
    this.pictures = new Map();
    this.root = h("div", {});
  }

  show(snapshot, page) {
    if (!snapshot.cameras.length) return [empty("no_cameras")];
    for (const camera of snapshot.cameras) this.camera(camera, page);
    return [this.root];
  }

  forget() { this.pictures.clear(); }

  camera(camera, page) {
    let card = this.cards.get(camera.sensor);
    if (!card) {
      const canvas = h("canvas", { width: 640, height: Math.round(640 / camera.aspect) });
      card = { canvas, state: h("div", { class: "state" }), node: null };
      card.node = h("div", { class: "camera" }, canvas, h("div", { class: "name" }, camera.sensor), card.state);
      canvas.addEventListener("click", (event) => {
        const box = canvas.getBoundingClientRect();
        const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
        const hit = card.camera.boxes.find((one) => one.track !== null && x >= one.box[0] && y >= one.box[1] && x <= one.box[0] + one.box[2] && y <= one.box[1] + one.box[3]);
        if (hit) page.choose(hit.track, false);
      });
      this.cards.set(camera.sensor, card);
      this.root.append(card.node);
    }
    card.camera = camera;
    const told = camera.preview_age_s ?? camera.age_s;
    const age = told === null ? null : told + page.silent;
    card.node.classList.toggle("old", age === null || age > (camera.frame === null ? 1 : 2));
    const mark = camera.frame === null ? "" : camera.masked ? ` · ${t("masked")}` : ` · ${t("unmasked")}`;
    card.state.textContent = `${age === null ? t("no_data") : seconds(age)} · ${t("boxes", { n: camera.boxes.length })}${mark}`;
    this.picture(camera, page, card);
  }

  picture(camera, page, card) {
    const paint = (image) => this.paint(card, camera, page, image);
    const known = this.pictures.get(camera.sensor);
    if (camera.frame === null || page.past) { paint(null); return; }
    if (known && known.frame === camera.frame) { if (known.image.complete) paint(known.image); return; }
    if ((known && !known.image.complete) || page.silent > 1) return; // one at a time, and only of a unit that is there
    const image = new Image();
    this.pictures.set(camera.sensor, { frame: camera.frame, image });
    image.onload = () => paint(image);
    image.onerror = () => this.pictures.delete(camera.sensor); // replaced by a newer one, or the unit is away
    image.src = `/api/preview?sensor=${encodeURIComponent(camera.sensor)}&frame=${camera.frame}`;
  }

  paint(card, camera, page, image) {
    const { canvas } = card;
    const height = Math.round(640 / camera.aspect);
    if (canvas.height !== height) canvas.height = height;
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#070b10";
    pen.fillRect(0, 0, 640, height);
    if (image?.naturalWidth) pen.drawImage(image, 0, 0, 640, height);
    else {
      pen.fillStyle = "#5b6879";
      pen.font = "15px system-ui, sans-serif";
      pen.textAlign = "center";
      pen.fillText(t(page.past ? "no_picture_past" : camera.frame === null ? "no_picture" : "loading"), 320, height - 14);
    }
    pen.textAlign = "left";
    pen.font = "bold 13px system-ui, sans-serif";
    for (const one of camera.boxes) {
      const [x, y, width, tall] = [one.box[0] * 640, one.box[1] * height, one.box[2] * 640, one.box[3] * height];
      const chosen = one.track !== null && one.track === page.chosen;
      const colour = chosen ? "#ffffff" : COLOURS[one.class] ?? COLOURS.unknown;
      pen.strokeStyle = colour;
      pen.lineWidth = chosen ? 3 : 1.6;
      pen.strokeRect(x, y, width, tall);
      const text = one.track === null ? "" : shortId(one.track);
      if (!text) continue;
      const wide = pen.measureText(text).width + 8;
      pen.fillStyle = colour;
      pen.fillRect(x, Math.max(0, y - 16), wide, 16);
      pen.fillStyle = "#0b1017";
      pen.fillText(text, x + 4, Math.max(12, y - 4));
    }
  }
}

// --- messages ---

export function messages(snapshot, page) {
  const said = snapshot.messages;
  const nodes = [h("h2", {}, t("said"))];
  if (!said.length) nodes.push(empty("nothing_said"));
  else {
    nodes.push(table(
      [{ text: t("message") }, { text: t("rate"), n: true }, { text: t("age50"), n: true }, { text: t("age99"), n: true }, { text: t("newest"), n: true }, { text: t("octets"), n: true }, { text: t("count"), n: true }],
      said.map((row) => ({
        class: `link${row.name === page.message ? " chosen" : ""}`,
        onclick: () => page.open(row.name),
        cells: [{ node: h("b", {}, row.name) }, number(row.rate, 1), ms(row.age_p50_ms), ms(row.age_p99_ms),
          { text: seconds(row.newest_s), class: row.newest_s > 3 ? "warn" : "" }, `${row.octets}`,
          { node: h("span", {}, `${row.count}`, refusedNode(row)) }],
      }))));
    const timed = said.find((row) => row.name === page.message) ?? said.find((row) => ["RSM", "sae/SDSM"].includes(row.name)) ?? said[0];
    nodes.push(h("h2", {}, `${timed.name}: ${t(timed.at === "radio" ? "latency" : "latency_message")}`));
    nodes.push(histogram(timed, snapshot.edges_ms));
  }
  if (page.message && page.past) nodes.push(h("p", { class: "dim" }, t("decoded_past")));
  else if (page.decoded && page.decoded.name === page.message) nodes.push(decoded(page.decoded));
  nodes.push(h("h2", {}, t("withheld")));
  const held = snapshot.health.withheld;
  if (!held.length) nodes.push(h("p", { class: "dim" }, t("all_said")));
  else nodes.push(table([{ text: t("reason") }, { text: t("detail") }, { text: t("count"), n: true }],
    held.map((row) => ({ cells: [{ node: h("span", {}, row.reason, h("br"), h("span", { class: "dim" }, page.reasons[row.reason] ?? "")) },
      { text: [`${row.stage}, ${row.verdict}`, row.subject, row.detail].filter(Boolean).join(" · "), class: "dim" }, `${row.count}`] }))));
  if (snapshot.heard.length) {
    nodes.push(h("h2", {}, t("heard")));
    nodes.push(table([{ text: t("message") }, { text: t("rate"), n: true }, { text: t("newest"), n: true }, { text: t("count"), n: true }],
      snapshot.heard.map((row) => ({ cells: [{ node: h("b", {}, row.name) }, number(row.rate, 1), seconds(row.newest_s), `${row.count}`] }))));
  }
  return nodes;
}

const ms = (value) => (value === null || value === undefined ? "–" : `${Math.round(value)} ms`);

function refusedNode(row) {
  const lost = Object.values(row.refused).reduce((a, b) => a + b, 0);
  return lost ? h("span", { class: "bad", title: Object.keys(row.refused).join(", ") }, ` (${lost} ${t("refused")})`) : null;
}

function histogram(row, edges) {
  const names = [...edges.map((edge) => (edge >= 1000 ? "1 s" : `${edge}`)), ">"];
  return barChart(names, row.bins, "ms", edges.map((edge) => (edge <= 100 ? "#3ddbb4" : edge <= 200 ? "#ffbf47" : "#ff6464")).concat("#ff6464"));
}

function decoded(message) {
  return h("div", { class: "card", id: "decoded" },
    h("h3", {}, t("decoded", { name: message.name })),
    facts([["AID", `${message.aid}`], [t("octets"), `${message.octets}`], ["profile", message.profile], [t("newest"), clockTime(message.time_ms)]]),
    h("pre", {}, JSON.stringify(message.value, null, 1)), h("pre", {}, message.hex));
}

// --- parking ---

export function parking(snapshot, page) {
  if (!snapshot.parking.length) return [empty("no_parking")];
  return snapshot.parking.flatMap((lot) => [
    h("h2", {}, lot.lot),
    h("div", { class: "figures" }, ["free", "occupied", "unknown", "closed"].map((key) => figure(lot.counts[key] ?? 0, t(key))),
      lot.entries === null ? [] : [figure(lot.entries, t("entries")), figure(lot.exits, t("exits"))], figure(lot.guided, t("guided"))),
    h("div", { class: "bays" }, lot.bays.map((bay) => h("div", {
      class: `bay ${bay.status}${bay.misuse.length ? " misuse" : ""}`, title: `${bay.bay} ${percent(bay.p)} ${bay.sources.join(", ")}`,
      onclick: bay.track === null ? null : () => page.choose(bay.track),
    }, h("b", {}, bay.bay.replace(/^bay-/, "")), bay.misuse.length ? h("span", { class: "bad" }, t(bay.misuse[0])) : `${t(bay.status)}`, h("br"), h("span", { class: "dim" }, seconds(bay.since_s))))),
  ]);
}

const figure = (value, name) => h("div", { class: "figure" }, h("b", {}, `${value}`), h("span", {}, name));

// --- traffic ---

export function traffic(snapshot, page) {
  const states = new Map(snapshot.lanes.list.map((lane) => [lane.lane, lane]));
  const history = page.history;
  const counted = new Map((history?.lanes ?? []).map((lane) => [lane.lane, lane]));
  const kinds = new Map(page.place.lanes.map((lane) => [lane.id, lane]));
  const names = [...new Set([...states.keys(), ...counted.keys()])].filter((name) => kinds.get(name)?.role !== "connection");
  const nodes = [];
  if (history && history.ends_ms.length) nodes.push(...charts(history, kinds));
  else nodes.push(empty("no_traffic"));
  nodes.push(table(
    [{ text: t("lane") }, { text: t("now_on"), n: true }, { text: "km/h", n: true }, { text: t("queue"), n: true }, { text: t("flow"), n: true }, { text: t("level"), n: true }],
    names.sort().map((name) => {
      const state = states.get(name);
      const queue = state?.queue;
      return { cells: [name, number(state?.present, 1), kmh(state?.speed),
        queue ? { text: `${queue.vehicles} · ${queue.open_end ? "≥ " : ""}${Math.round(queue.length)} m`, class: queue.spill_back ? "bad" : "warn" } : "–",
        number(flowOf(counted.get(name), history, history ? history.ends_ms.length - 1 : 0)), counted.get(name)?.service ?? "–"] };
    })));
  if (history?.movements.length) {
    nodes.push(h("h2", {}, t("turns")));
    nodes.push(table([{ text: t("from") }, { text: t("to") }, { text: "" }, { text: t("count"), n: true }],
      history.movements.filter((move) => move.count).sort((a, b) => b.count - a.count).map((move) => ({ cells: [move.entry, move.exit, { left: "↰", right: "↱", straight: "↑", "u-turn": "↶" }[move.maneuver] ?? "", `${move.count}`] }))));
  }
  return nodes;
}

const LEAST_FLOW_S = 30; // of less a single car makes hundreds an hour

function flowOf(lane, history, index) {
  // Vehicles per hour over the last six periods: a minute.
  if (!lane || !history) return null;
  let count = 0;
  let span = 0;
  for (let i = Math.max(0, index - 5); i <= index; i++) {
    if (lane.count[i] === null) continue;
    count += lane.count[i];
    span += history.period_s[i];
  }
  return span >= LEAST_FLOW_S ? (count / span) * 3600 : null;
}

function charts(history, kinds) {
  const entries = history.lanes.filter((lane) => kinds.get(lane.lane)?.role === "entry" && lane.count.some((count) => count));
  const shown = entries.sort((a, b) => sum(b.count) - sum(a.count)).slice(0, 8).sort((a, b) => (a.lane < b.lane ? -1 : 1));
  if (!shown.length) return [empty("nobody_counted")];
  const times = history.ends_ms.map(clockTime);
  return [
    h("h2", {}, t("flow_chart")),
    lineChart("flow", times, shown.map((lane) => ({ name: lane.lane, values: lane.count.map((_, index) => rounded(flowOf(lane, history, index))) }))),
    h("h2", {}, t("speed_chart")),
    lineChart("speed", times, shown.map((lane) => ({ name: lane.lane, values: lane.speed.map((speed) => (speed === null ? null : Math.round(speed * 3.6))) }))),
  ];
}

const rounded = (value) => (value === null ? null : Math.round(value));
const sum = (list) => list.reduce((a, b) => a + (b ?? 0), 0);

// --- health ---

const UNITS = { visibility: [0, "m"], rain: [1, "mm/h"], "road-temperature": [1, "°C"], "air-temperature": [1, "°C"], "water-depth": [3, "m"] };

function reading(one) {
  if (typeof one.value !== "number") return `${one.value ?? "–"}`;
  if (one.kind === "visibility" && one.value >= 2000) return `${(one.value / 1000).toFixed(0)} km`;
  const [digits, unit] = UNITS[one.kind] ?? [2, ""];
  return `${one.value.toFixed(digits)} ${unit}`;
}

const STATES = { live: "good", ended: "", starting: "", late: "warn", shifted: "warn", frozen: "bad", blind: "bad", gone: "bad", running: "good", waiting: "warn", failed: "bad", stopped: "" };

export function health(snapshot) {
  const state = snapshot.health;
  const nodes = [h("h2", {}, t("unit")), facts([
    [t("capability"), t(`cap.${state.capability}`)], [t("clock"), t(`clock.${state.clock}`)],
    [t("unit_age"), state.unit_age_s === null ? "–" : t("ago", { s: state.unit_age_s.toFixed(1) })],
  ])];
  nodes.push(h("h2", {}, t("alarms")));
  nodes.push(state.alarms.length ? h("div", {}, state.alarms.map((alarm) => h("div", { class: "card" },
    h("span", { class: "warn" }, t(`alarm.${alarm.kind}`, { a: alarm.sensor, b: alarm.against, m: alarm.shift_m, s: alarm.offset_s })),
    alarm.suspect ? ` · ${t("suspect")}: ${alarm.suspect}` : ""))) : h("p", { class: "dim" }, t("no_alarms")));
  nodes.push(h("h2", {}, t("sensors")), table(
    [{ text: t("id") }, { text: t("state") }, { text: t("received"), n: true }, { text: t("dropped"), n: true }],
    state.sensors.map((one) => ({ cells: [
      { node: h("span", {}, one.sensor, h("br"), h("span", { class: "dim" }, one.kind)) },
      { node: h("span", {}, h("span", { class: `dot ${STATES[one.state] ?? "warn"}` }), t(`s.${one.state}`), h("br"), h("span", { class: "dim" }, one.detail || seconds(one.since_s))) },
      `${one.received}`, `${sum(Object.values(one.dropped)) || "–"}`] }))));
  if (state.uplink) {
    nodes.push(h("h2", {}, t("outbox")), h("div", { class: "figures" }, figure(state.uplink.queued, t("queued")), figure(state.uplink.delivered, t("delivered")),
      figure(sum(Object.values(state.uplink.dropped)), t("dropped")), figure(`${state.uplink.connected}/${state.uplink.links}`, t("up.connected"))));
  }
  if (state.processes.length) {
    nodes.push(h("h2", {}, t("processes")), table([{ text: t("id") }, { text: t("state") }, { text: t("restarts"), n: true }, { text: t("memory"), n: true }],
      state.processes.map((one) => ({ cells: [one.name, { node: h("span", {}, h("span", { class: `dot ${STATES[one.state] ?? "warn"}` }), one.state) },
        { text: `${one.restarts}`, class: one.restarts ? "warn" : "" }, one.memory_mb === null ? "–" : `${Math.round(one.memory_mb)} MB`] }))));
  }
  if (state.environment.length) {
    nodes.push(h("h2", {}, t("environment")), table([{ text: t("kind") }, { text: t("lane") }, { text: t("value"), n: true }, { text: t("newest"), n: true }],
      state.environment.map((one) => ({ cells: [t(`env.${one.kind}`), one.lane ?? "–", reading(one), seconds(one.age_s)] }))));
  }
  return nodes;
}
