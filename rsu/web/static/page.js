// The live page: hears `/live`, keeps the newest snapshot, and shows how old everything is.

import { BirdsEye, COLOURS } from "/assets/map.js";
import { CameraPanel, clockTime, conflictText, eventName, events, h, health, messages, objects, parking, seconds, traffic } from "/assets/panels.js";
import { setLanguage, t } from "/assets/texts.js";
import { TimeLine } from "/assets/past.js";

const STALE_S = 1; // without a snapshot, or with older evidence: everything greys
const DEAF_S = 6; // a connection that says nothing for so long is dead, whatever the network thinks
const PANEL_MS = 400;
const RETRY_MS = [500, 1000, 2000, 4000];
const cameras = new CameraPanel();
const PANELS = { objects, events, cameras: (snapshot, page) => cameras.show(snapshot, page), messages, parking, traffic, health };
const byId = (id) => document.getElementById(id);

class Page {
  constructor() {
    this.chosen = null;
    this.tab = "objects";
    this.message = null;
    this.decoded = null;
    this.history = null;
    this.live = null; // newest snapshot heard
    this.heardAt = 0; // performance.now() of it
    this.past = null; // snapshot of the past that is shown instead
    this.replay = null; // name of the recording, where there is no present at all
    this.place = null;
    this.tries = 0;
    this.map = new BirdsEye(byId("map"), (id) => this.choose(id));
    this.language = localStorage.getItem("language");
  }

  get snapshot() { return this.past ?? this.live; }

  async begin() {
    document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => {
      if (button.dataset.zoom === "all") this.map.fit();
      else this.map.zoom(button.dataset.zoom === "in" ? 1.4 : 1 / 1.4);
    }));
    byId("language").addEventListener("click", () => this.speak(this.language === "zh" ? "en" : "zh"));
    setLanguage(this.language ?? "en");
    this.showFreshness();
    setInterval(() => this.showFreshness(), 200);
    await this.load();
    if (this.replay === null) this.connect();
    setInterval(() => this.showPanel(), PANEL_MS);
    setInterval(() => this.ask(), 1000);
  }

  async load() {
    // Until the unit answers: after a restart, or before its first start.
    for (;;) {
      try {
        const answer = await fetch("/api/site");
        if (answer.status === 401) { location.href = "/login"; return; }
        const site = await answer.json();
        this.place = site.place;
        this.settings = site.settings;
        this.replay = site.settings.replay;
        this.reasons = site.reasons;
        break;
      } catch { await new Promise((resolve) => setTimeout(resolve, 1000)); }
    }
    document.body.classList.toggle("replay", this.replay !== null);
    byId("settings").hidden = this.replay !== null;
    this.map.setPlace(this.place);
    this.timeLine ??= new TimeLine(byId("time"), this);
    this.speak(this.language ?? this.settings.language);
  }

  speak(language) {
    this.language = language;
    localStorage.setItem("language", language);
    setLanguage(language);
    const title = this.place?.title ?? "RSU";
    document.title = this.replay === null ? `${title} · RSU` : `${t("replay")} · ${title}`;
    byId("title").textContent = this.place?.title ?? "RSU";
    byId("language").textContent = t("other_language");
    byId("settings").textContent = t("settings");
    byId("legend").replaceChildren(...["car", "truck", "bus", "motorcycle", "bicycle", "pedestrian"].map((kind) => {
      const swatch = h("span", { class: "swatch" });
      swatch.style.background = COLOURS[kind];
      return h("span", {}, swatch, t(`c.${kind}`));
    }));
    this.timeLine?.speak();
    this.show();
  }

  // --- the wire ---

  connect() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    socket.binaryType = "blob";
    let chain = Promise.resolve();
    socket.onopen = () => { this.tries = 0; this.openedAt = performance.now(); this.beginAnew(); };
    socket.onmessage = (event) => { chain = chain.then(() => this.hear(event.data)).catch(() => undefined); };
    socket.onclose = () => this.connectLater();
    this.socket = socket;
    this.openedAt = performance.now();
  }

  connectLater() {
    // Its end is not waited for: a peer that is gone never answers.
    this.socket.onclose = this.socket.onmessage = null;
    this.socket.close();
    this.openedAt = Infinity;
    setTimeout(() => this.connect(), RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)]);
  }

  beginAnew() {
    // The unit may be another one by now: its counts and pictures begin anew.
    this.history = this.decoded = null;
    cameras.forget();
    this.load();
  }

  async hear(blob) {
    const snapshot = await new Response(blob.stream().pipeThrough(new DecompressionStream("deflate"))).json();
    this.live = snapshot;
    this.heardAt = performance.now();
    if (!this.past) this.show();
  }

  async ask() {
    const snapshot = this.snapshot;
    if (!snapshot || this.past || document.hidden) return;
    try {
      if (this.tab === "traffic" && snapshot.traffic_version !== this.history?.version) {
        this.history = await (await fetch("/api/traffic")).json();
      }
      if (this.tab === "messages" && this.message) {
        const answer = await fetch(`/api/message?name=${encodeURIComponent(this.message)}`);
        if (answer.ok) this.decoded = await answer.json();
      }
    } catch { /* the unit is away: the page greys by itself */ }
  }

  // --- what people do ---

  choose(id, show = true) {
    this.chosen = id;
    this.map.chosen = id;
    if (id !== null) this.map.bring(id);
    if (id !== null && show) this.turnTo("objects");
    this.showPanel();
  }

  open(name) {
    this.message = this.message === name ? null : name;
    this.decoded = null;
    this.ask().then(() => this.showPanel());
    this.showPanel();
  }

  look(x, y) { this.map.centre = [x, y]; this.map.scale = Math.max(this.map.scale, 9); }

  turnTo(tab) {
    this.tab = tab;
    byId("panel").scrollTop = 0;
    this.ask().then(() => this.showPanel());
    this.showTabs();
    this.showPanel();
  }

  showPast(snapshot) {
    this.past = snapshot;
    if (snapshot?.history) this.history = snapshot.history;
    if (snapshot === null) this.history = null;
    document.body.classList.toggle("past", snapshot !== null);
    this.show();
  }

  // --- what people see ---

  show() {
    const snapshot = this.snapshot;
    if (!snapshot || !this.place) return;
    this.map.take(snapshot);
    this.showStatus(snapshot);
    this.showAlerts(snapshot);
    this.showTabs();
    if (this.tab === "cameras") this.showPanel();
    this.showFreshness();
  }

  showStatus(snapshot) {
    const state = snapshot.health;
    const sensors = state.sensors.filter((one) => one.kind !== "v2x");
    const well = sensors.filter((one) => ["live", "ended"].includes(one.state)).length;
    const link = this.linkOf(state.uplink);
    const age = evidenceAge(snapshot);
    const bad = state.capability === "blind" || state.capability === "signals-only" || state.capability === null || age === null || age > STALE_S || state.clock === "unsynchronised";
    const warn = state.capability !== "full" || state.clock !== "locked" || well < sensors.length || state.alarms.length > 0 || link.tone !== "";
    const verdict = byId("verdict");
    verdict.textContent = t(bad ? "not_well" : warn ? "reduced" : "all_well");
    verdict.className = bad ? "bad" : warn ? "warn" : "good";
    const fact = (name, value, tone) => h("div", { class: `fact ${tone}`, "data-fact": name }, h("span", {}, t(name)), h("b", {}, value));
    byId("facts").replaceChildren(
      fact("capability", t(`cap.${state.capability}`), state.capability === "full" ? "good" : state.capability && !bad ? "warn" : state.capability === "camera-only" || state.capability === "radar-only" ? "warn" : "bad"),
      fact("clock", t(`clock.${state.clock}`), { locked: "good", holdover: "warn" }[state.clock] ?? "bad"),
      fact("uplink", link.text, link.tone),
      fact("data_age", age === null ? t("none") : seconds(age), age === null || age > STALE_S ? "bad" : "good"),
      fact("sensors", `${well}/${sensors.length}`, well === sensors.length ? "good" : "warn"),
      fact("road_users", `${snapshot.tracks.list.length}`, ""),
    );
  }

  linkOf(uplink) {
    if (!uplink) return this.place.uplink ? { text: t("up.silent"), tone: "warn" } : { text: t("up.none"), tone: "" };
    if (uplink.age_s > 5) return { text: t("up.silent"), tone: "bad" };
    const waits = uplink.queued > 0 ? ` · ${uplink.queued} ${t("queued")}` : "";
    if (uplink.connected === uplink.links) return { text: t("up.connected") + waits, tone: "" };
    return { text: (uplink.connected ? `${uplink.connected}/${uplink.links}` : t("up.offline")) + waits, tone: "warn" };
  }

  showAlerts(snapshot) {
    const going = snapshot.events.filter((event) => !event.ended).slice(0, 4);
    byId("alerts").replaceChildren(...going.map((event) => h("div", {
      class: `alert${event.conflict || event.severity >= 5 ? " severe" : ""}`, onclick: () => { this.look(event.x, event.y); this.turnTo("events"); },
    }, h("b", {}, eventName(event)), h("span", {}, event.conflict ? conflictText(event) : `${clockTime(event.start_ms)} · ${event.lanes.join(", ")}`))));
  }

  showTabs() {
    const snapshot = this.snapshot;
    if (!snapshot) return;
    const going = snapshot.events.filter((event) => !event.ended).length;
    const ill = snapshot.health.sensors.filter((one) => !["live", "ended"].includes(one.state)).length + snapshot.health.alarms.length;
    const badges = { objects: [snapshot.tracks.list.length, ""], events: [going, going ? "warn" : ""], health: [ill, ill ? "bad" : ""] };
    const names = Object.keys(PANELS).filter((name) => name !== "parking" || this.place.zones.some((zone) => zone.kind === "bay"));
    const key = JSON.stringify([this.tab, this.language, badges, names]);
    if (key === this.tabsKey) return;
    this.tabsKey = key;
    const tabs = byId("tabs");
    const left = tabs.scrollLeft;
    tabs.replaceChildren(...names.map((name) => h("button", {
      type: "button", role: "tab", "data-tab": name, "aria-selected": name === this.tab ? "true" : "false", onclick: () => this.turnTo(name),
    }, t(`tab.${name}`), badges[name]?.[0] ? h("span", { class: `badge ${badges[name][1]}` }, `${badges[name][0]}`) : "")));
    const chosen = tabs.children[names.indexOf(this.tab)]; // on a phone not all fit
    const [from, to] = chosen ? [chosen.offsetLeft - tabs.offsetLeft, chosen.offsetLeft - tabs.offsetLeft + chosen.offsetWidth] : [0, 0];
    tabs.scrollLeft = Math.max(to - tabs.clientWidth + 24, Math.min(left, from - 8));
  }

  showPanel() {
    const snapshot = this.snapshot;
    const panel = byId("panel");
    if (!snapshot || !this.place || document.hidden) return;
    if (panel.contains(document.activeElement) && document.activeElement !== panel && document.activeElement.tagName === "INPUT") return;
    if (!window.getSelection().isCollapsed && panel.contains(window.getSelection().anchorNode)) return; // somebody copies
    const open = [...panel.querySelectorAll("pre")].map((pre) => pre.scrollTop);
    const scroll = panel.scrollTop;
    panel.replaceChildren(...PANELS[this.tab](snapshot, this));
    panel.querySelectorAll("pre").forEach((pre, index) => { pre.scrollTop = open[index] ?? 0; });
    panel.scrollTop = scroll;
  }

  // Seconds since the unit was last heard: what is shown is that much older than it says.
  get silent() { return this.past ? 0 : (performance.now() - this.heardAt) / 1000; }

  showFreshness() {
    const body = document.body.classList;
    const note = byId("stale");
    const mode = byId("mode");
    mode.textContent = this.replay !== null ? t("replay") : this.past ? t("past") : "";
    if (this.replay !== null) {
      const gone = this.timeLine?.unreachable ?? false;
      body.toggle("waiting", !this.past && !gone);
      body.toggle("stale", gone);
      note.textContent = gone ? t("replay_gone") : t("loading");
      return;
    }
    if (this.past) { body.remove("stale", "waiting"); return; }
    if (!this.live) { body.add("waiting"); note.textContent = t("waiting"); return; }
    const silent = this.silent;
    const age = evidenceAge(this.live);
    body.remove("waiting");
    const lost = silent > STALE_S;
    const old = age === null || age + silent > STALE_S + 0.25; // 0.25 s: one snapshot on its way
    body.toggle("stale", lost || old);
    if (lost) {
      note.textContent = t("lost", { s: silent.toFixed(0) });
      byId("verdict").textContent = t("no_data");
      byId("verdict").className = "bad";
      const fact = document.querySelector("[data-fact='data_age']");
      if (fact && age !== null) { fact.className = "fact bad"; fact.lastChild.textContent = seconds(age + silent); }
    } else if (old) note.textContent = age === null ? t("no_evidence") : t("old_evidence", { s: (age + silent).toFixed(1) });
    if (performance.now() - Math.max(this.heardAt, this.openedAt) > DEAF_S * 1000) this.connectLater();
  }
}

function evidenceAge(snapshot) {
  // By the clock on the wall: a run that lags behind it shows what is as old.
  const age = snapshot.tracks.age_s;
  return age === null ? null : age + snapshot.behind_s;
}

const page = new Page();
globalThis.rsuPage = page; // for the console, and for the tests of this page
page.begin();
