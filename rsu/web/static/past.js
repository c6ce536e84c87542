// The time line: the present, or any moment of the last minutes that the ring recording holds.

import { clockTime, h } from "/assets/panels.js";
import { t } from "/assets/texts.js";

const STEP_MS = 200;
const BATCH = 25; // five seconds are fetched at once

export class TimeLine {
  constructor(root, page) {
    this.page = page;
    this.root = root;
    this.range = null;
    this.at = null; // ms UTC shown; null: the present
    this.playing = false;
    this.frames = [];
    this.note = "";
    this.build();
    setInterval(() => this.refresh(), 1000);
    setInterval(() => this.step(), STEP_MS);
    this.look();
    setInterval(() => this.look(), 5000);
  }

  build() {
    this.now = h("button", { class: "now on", type: "button", id: "now", onclick: () => this.present() });
    this.play = h("button", { class: "plain", type: "button", id: "play", onclick: () => this.toggle() });
    this.slider = h("input", { type: "range", id: "scrub", min: 0, max: 1000, value: 1000, oninput: () => this.scrub() });
    this.clock = h("span", { class: "clock", id: "clock" });
    this.save = h("button", { class: "plain", type: "button", id: "save", onclick: () => this.keep() });
    this.root.replaceChildren(this.now, this.play, this.slider, this.clock, this.save);
    this.speak();
  }

  speak() {
    this.now.textContent = `● ${t("live")}`;
    this.play.textContent = this.playing ? "❚❚" : "▶";
    this.play.title = t(this.playing ? "pause" : "play");
    this.save.textContent = t("save");
    this.save.title = this.page.settings?.may_change ? "" : t("needs_login");
    this.refresh();
  }

  async look() {
    if (!this.page.place?.recording) { this.range = null; this.refresh(); return; }
    try {
      const answer = await fetch("/api/past/range");
      this.range = answer.ok ? await answer.json() : null;
    } catch { this.range = null; }
    this.refresh();
  }

  refresh() {
    const usable = this.range !== null;
    for (const node of [this.play, this.slider]) node.hidden = !usable;
    this.save.hidden = !usable;
    this.save.disabled = !this.page.settings?.may_change;
    this.now.classList.toggle("on", this.at === null);
    const live = this.page.live;
    if (this.note) this.clock.textContent = this.note;
    else if (this.at !== null) this.clock.textContent = `${clockTime(this.at)} (${t("back", { s: `${Math.round((this.range.end_ms - this.at) / 1000)} s` })})`;
    else this.clock.textContent = `${live ? clockTime(live.now_ms) : ""}${usable ? "" : `  ·  ${t("no_recording")}`}`;
  }

  scrub() {
    const { start_ms: start, end_ms: end } = this.range;
    if (Number(this.slider.value) >= 1000) { this.present(); return; }
    this.at = Math.round(start + ((end - start) * this.slider.value) / 1000);
    this.frames = [];
    this.refresh();
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.fetch(this.at, 1), 120);
  }

  present() {
    this.at = null;
    this.playing = false;
    this.frames = [];
    this.slider.value = 1000;
    this.page.showPast(null);
    this.speak();
  }

  toggle() {
    this.playing = !this.playing;
    if (this.playing && this.at === null) { this.at = this.range.end_ms - 60_000; }
    if (this.playing) this.fetch(this.at, BATCH);
    this.speak();
  }

  async fetch(at, count) {
    if (this.fetching) { this.next = [at, count]; return; }
    this.fetching = true;
    if (count === 1) this.say(t("loading"));
    try {
      const answer = await fetch(`/api/past?at_ms=${Math.round(at)}&count=${count}&step_ms=${STEP_MS}`);
      if (answer.ok && this.at !== null) {
        const { snapshots } = await answer.json();
        if (count === 1) this.page.showPast(snapshots[0]);
        else this.frames.push(...snapshots);
      }
    } catch { /* the next look says whether there is a recording */ }
    this.fetching = false;
    this.say("");
    if (this.next) { const [when, many] = this.next; this.next = null; this.fetch(when, many); }
  }

  say(note) { this.note = note; this.refresh(); }

  step() {
    if (!this.playing || this.at === null) return;
    const frame = this.frames.shift();
    if (frame) {
      this.at = frame.now_ms;
      this.page.showPast(frame);
      if (this.range) this.slider.value = Math.round((1000 * (this.at - this.range.start_ms)) / (this.range.end_ms - this.range.start_ms));
    }
    if (this.frames.length < BATCH / 2 && !this.fetching) {
      const last = this.frames.length ? this.frames[this.frames.length - 1].now_ms : this.at;
      if (this.range && last + STEP_MS * BATCH > this.range.end_ms) { if (!this.frames.length) this.present(); } else this.fetch(last + STEP_MS, BATCH);
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
