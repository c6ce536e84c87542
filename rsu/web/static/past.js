// The time line: the present, or any moment of the last minutes that the ring recording holds.

import { clockTime, h } from "/assets/panels.js";
import { t } from "/assets/texts.js";

const STEP_MS = 200;
const BATCH = 25; // five seconds are fetched at once

const PACES = [1, 2, 5, 10, 0.5]; // times as fast as it went

export class TimeLine {
  constructor(root, page) {
    this.page = page;
    this.root = root;
    this.range = null;
    this.at = null; // ms UTC shown; null: the present
    this.playing = false;
    this.pace = 1;
    this.unreachable = false;
    this.frames = [];
    this.visit = 0;
    this.note = "";
    this.build();
    setInterval(() => this.refresh(), 1000);
    setInterval(() => this.step(), STEP_MS);
    this.look();
    setInterval(() => this.look(), page.replay === null ? 5000 : 1000);
  }

  build() {
    this.now = h("button", { class: "now on", type: "button", id: "now", onclick: () => this.present() });
    this.play = h("button", { class: "plain", type: "button", id: "play", onclick: () => this.toggle() });
    this.speed = h("button", { class: "plain", type: "button", id: "pace", onclick: () => this.faster() });
    this.slider = h("input", { type: "range", id: "scrub", min: 0, max: 1000, value: this.page.replay === null ? 1000 : 0, oninput: () => this.scrub() });
    this.clock = h("span", { class: "clock", id: "clock" });
    this.save = h("button", { class: "plain", type: "button", id: "save", onclick: () => this.keep() });
    this.root.replaceChildren(this.now, this.play, this.speed, this.slider, this.clock, this.save);
    this.speak();
  }

  speak() {
    this.now.textContent = this.page.replay === null ? `● ${t("live")}` : t("not_live");
    this.now.disabled = this.page.replay !== null;
    this.play.textContent = this.playing ? "❚❚" : "▶";
    this.play.title = t(this.playing ? "pause" : "play");
    this.speed.textContent = `${this.pace}×`;
    this.speed.title = t("pace");
    this.save.textContent = t("save");
    this.save.title = this.page.settings?.may_change ? "" : t("needs_login");
    this.refresh();
  }

  async look() {
    const { replay, place } = this.page;
    if (!place?.recording && replay === null) { this.range = null; this.refresh(); return; }
    try {
      const answer = await fetch("/api/past/range");
      this.range = answer.ok ? await answer.json() : replay === null ? null : this.range;
      this.unreachable = false;
      if (replay !== null && this.at === null && this.range) { this.playing = true; this.go(this.range.start_ms); this.speak(); }
    } catch {
      this.unreachable = true;
      if (replay === null) this.range = null;
    }
    this.refresh();
  }

  refresh() {
    const usable = this.range !== null;
    const { live, replay } = this.page;
    for (const node of [this.play, this.slider]) node.hidden = !usable;
    this.speed.hidden = !usable || this.at === null;
    this.save.hidden = !usable || replay !== null;
    this.save.disabled = !this.page.settings?.may_change;
    if (usable && this.at !== null && !this.root.contains(document.activeElement)) this.place();
    this.now.classList.toggle("on", this.at === null && replay === null);
    if (this.note) this.clock.textContent = this.note;
    else if (this.at === null) this.clock.textContent = `${live ? clockTime(live.now_ms) : ""}${usable || replay !== null ? "" : `  ·  ${t("no_recording")}`}`;
    else if (replay !== null) this.clock.textContent = `${replay} · ${dateTime(this.at)} · ${this.atEnd() ? t("replay_end") : `${clock(this.at - this.range.start_ms)} / ${clock(this.range.end_ms - this.range.start_ms)}`}`;
    else this.clock.textContent = `${clockTime(this.at)} (${t("back", { s: `${Math.round((this.range.end_ms - this.at) / 1000)} s` })})`;
  }

  place() {
    const { start_ms: start, end_ms: end } = this.range;
    this.slider.value = Math.round((1000 * (this.at - start)) / Math.max(1, end - start));
  }

  atEnd() { return this.at >= this.range.end_ms - this.pace * STEP_MS && !this.frames.length; }

  scrub() {
    const { start_ms: start, end_ms: end } = this.range;
    if (Number(this.slider.value) >= 1000 && this.page.replay === null) { this.present(); return; }
    this.at = Math.round(start + ((end - start) * this.slider.value) / 1000);
    this.leave();
    this.refresh();
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.fetch(this.at), 120);
  }

  go(at) {
    this.at = at;
    this.leave();
    this.fetch(at);
  }

  present() {
    if (this.page.replay !== null) return;
    this.at = null;
    this.playing = false;
    this.leave();
    this.slider.value = 1000;
    this.page.showPast(null);
    this.speak();
  }

  toggle() {
    this.playing = !this.playing;
    if (this.playing && this.at === null) this.go(this.range.end_ms - 60_000);
    if (this.playing && this.page.replay !== null && this.atEnd()) this.go(this.range.start_ms);
    this.speak();
  }

  faster() {
    this.pace = PACES[(PACES.indexOf(this.pace) + 1) % PACES.length];
    this.leave();
    this.speak();
  }

  // One moment, which is shown at once, or several to be played; what was asked for before somebody
  // went elsewhere is dropped.
  async fetch(at, count = null) {
    if (this.fetching) { this.next = [at, count]; return; }
    this.fetching = true;
    const { visit } = this;
    if (count === null) this.say(t("loading"));
    try {
      const answer = await fetch(`/api/past?at_ms=${Math.round(at)}&count=${count ?? 1}&step_ms=${STEP_MS * this.pace}`);
      const { snapshots } = answer.ok ? await answer.json() : {};
      if (snapshots && visit === this.visit && count === null) this.page.showPast(snapshots[0]);
      else if (snapshots && visit === this.visit) this.frames.push(...snapshots);
    } catch { /* the next look says whether there is a recording */ }
    this.fetching = false;
    this.say("");
    if (this.next) { const [when, many] = this.next; this.next = null; this.fetch(when, many); }
  }

  leave() {
    this.visit += 1;
    this.frames = [];
    this.next = null;
  }

  say(note) { this.note = note; this.refresh(); }

  step() {
    if (!this.playing || this.at === null || !this.range) return;
    const { end_ms: end } = this.range;
    const frame = this.frames.shift();
    if (frame) {
      this.at = frame.now_ms;
      this.page.showPast(frame);
      this.place();
    }
    if (this.frames.length < BATCH / 2 && !this.fetching) {
      const step = STEP_MS * this.pace;
      const last = this.frames.length ? this.frames[this.frames.length - 1].now_ms : this.at;
      const left = Math.floor((end - last) / step);
      if (left > 0) this.fetch(last + step, Math.min(BATCH, left));
      else if (!this.frames.length && this.page.replay === null) this.present();
    }
    this.refresh();
  }

  async keep() {
    const at = this.at ?? this.range.end_ms;
    this.say(t("loading"));
    try {
      const answer = await fetch(`/api/past/incident?at_ms=${Math.round(at)}`, { method: "POST" });
      const told = await answer.json();
      this.say(answer.ok ? t("saved", { name: told.name }) : t("save_failed", { why: told.problem }));
    } catch (error) { this.say(t("save_failed", { why: String(error) })); }
    setTimeout(() => this.say(""), 6000);
  }
}

function dateTime(ms) {
  return `${new Date(ms).toLocaleDateString("sv")} ${clockTime(ms)}`; // year-month-day
}

function clock(ms) {
  const whole = Math.max(0, Math.round(ms / 1000));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
