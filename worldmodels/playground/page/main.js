// The page: what the visitor sets goes to the server, what the server shows is drawn.

import { Actions, History, Latent } from "./plots.js";
import { Pad, belongsElsewhere } from "./pad.js";
import { Stats } from "./stats.js";
import { Wire } from "./wire.js";

const $ = (id) => document.getElementById(id);
const number = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const PLOT_EVERY = 3; // frames
const NOTE_TIME = { note: 5000, problem: 12000 };
const MODES = ["agent", "shared", "human"];
const MODE_HINTS = {
  agent: "The agent drives by itself.",
  shared: "The agent drives. Hold a key, and you override it.",
  human: "You drive. The agent only watches.",
};
const KEYS = [
  ["Space", "play or pause"], [".", "one step"], ["R", "the same dream again"], ["N", "another dream"],
  ["M", "who drives"], ["+ −", "temperature"], ["G", "the real game beside the dream"],
  ["F", "dream on from the game’s present frame"], ["C", "record, and stop"],
];
const KEY_NAMES = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };

const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const settings = { agent: null, temperature: 1, mode: "shared", playing: !calm, game: false, watches: "dream" };
const stats = new Stats();
let agents = [];
let shown = null; // the agent for which the page is laid out
let latest = null; // the newest frame
let drawing = false;

const latent = new Latent($("latent"));
const entropy = new History($("entropy"), 1);
const apart = new History($("apart"), 1);
const actions = new Actions($("action"));
const hold = (held) => wire.ask({ type: "hold", buttons: held });
const pad = new Pad($("pad"), (held, time) => stats.asked(hold(held), time));

const wire = new Wire(() => ({ ...settings, ...(settings.agent === null ? { agent: undefined } : {}) }), {
  hello(message) {
    agents = message.agents;
    stats.reset();
    if (!agents.some((agent) => agent.name === settings.agent)) settings.agent = agents[0].name;
    $("agent").replaceChildren(...agents.map((agent) => new Option(`${agent.name} (${agent.task})`, agent.name)));
    $("agent").value = settings.agent;
    $("agent").disabled = agents.length < 2;
    $("files").textContent = `A GIF and an MP4, of ${message.seconds} seconds at most.`;
  },
  frame(frame) {
    latest = frame;
    stats.received(frame.header);
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(draw);
  },
  note: (message) => note(message.text, "note"),
  problem: (message) => note(message.text, "problem"),
  changed({ type, ...values }) {
    Object.assign(settings, values);
    reflect();
  },
  writing() {
    $("files").textContent = "Writing the files. The dream goes on meanwhile.";
  },
  recording({ address, seconds, sizes }) {
    const links = Object.entries(sizes).map(([kind, bytes]) => {
      const link = document.createElement("a");
      link.href = `recordings/${address}.${kind}`;
      link.download = `dream.${kind}`;
      link.textContent = `${kind.toUpperCase()} (${(bytes / 1e6).toFixed(bytes < 1e6 ? 2 : 1)} MB)`;
      return link;
    });
    $("files").replaceChildren(`${seconds.toFixed(1)} seconds: `, links[0], " or ", links[1]);
  },
  state(state, text) {
    document.body.dataset.link = state;
    $("link-text").textContent = text;
    if (state === "live" && pad.held.length) hold(pad.held); // what was held when the last connection was lost
    if (state !== "live") veil("dream", state === "gone" ? "The server is gone." : "The dream is full.");
  },
});

function change(values) {
  Object.assign(settings, values);
  wire.ask({ type: "set", ...values });
  reflect();
}
const once = (what) => wire.ask({ type: "do", what });

/** Show the settings on the controls. */
function reflect() {
  document.body.dataset.mode = settings.mode;
  $("mode").querySelector(`[value="${settings.mode}"]`).checked = true;
  $("mode-hint").textContent = MODE_HINTS[settings.mode];
  $("temperature").value = settings.temperature;
  $("temperature-text").textContent = settings.temperature.toFixed(2);
  $("temperature-hint").textContent = temperatureHint(settings.temperature);
  $("game-switch").checked = settings.game;
  $("watches").querySelector(`[value="${settings.watches}"]`).checked = true;
  $("play-text").textContent = settings.playing ? "Pause" : "Play";
  $("play-icon").setAttribute("d", settings.playing ? "M3.5 2.5h3v11h-3zM9.5 2.5h3v11h-3z" : "M4 2.5v11l9-5.5z");
  $("step").disabled = settings.playing;
}

function temperatureHint(tau) {
  if (tau === 0) return "No chance at all: M’s best guess, again and again.";
  if (tau < 0.75) return "Tamer than what M has learned.";
  if (tau <= 1.05) return "The world as M has learned it.";
  return "More chance than M has learned: harder to drive in.";
}

/** Lay the page out for the agent that the server shows. */
function layOut(name) {
  shown = agents.find((agent) => agent.name === name);
  pad.setButtons(shown.buttons);
  actions.setEntries(shown.entries);
  entropy.top = Math.log(shown.mixtures);
  entropy.clear();
  apart.clear();
  const held = shown.buttons.filter((button) => button.keys.length);
  const rows = held.map(({ keys, label }) => [keys.map((key) => KEY_NAMES[key] ?? key.replace(/Key|Digit/, "")), label]);
  $("keys").replaceChildren(
    ...[...rows, ...KEYS.map(([keys, what]) => [keys.split(" "), what])].flatMap(([keys, what]) => {
      const term = document.createElement("dt");
      keys.forEach((key) => {
        const cap = document.createElement("kbd");
        cap.textContent = key;
        term.append(cap, " ");
      });
      const detail = document.createElement("dd");
      detail.textContent = what;
      return [term, detail];
    }),
  );
}

const images = new Map();
function paint(canvas, rgb) {
  const context = canvas.getContext("2d");
  if (!images.has(canvas)) images.set(canvas, context.createImageData(64, 64));
  const image = images.get(canvas);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    image.data[to] = rgb[from];
    image.data[to + 1] = rgb[from + 1];
    image.data[to + 2] = rgb[from + 2];
    image.data[to + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

function veil(world, text) {
  if ($(`${world}-veil`).textContent !== text) $(`${world}-veil`).textContent = text;
  $(`${world}-veil`).hidden = !text;
}

function tally(world, state, extra = []) {
  const parts = [["step", state.step], ["return", number(state.total)], ["reward", number(state.reward, 2)], ...extra];
  const element = $(`${world}-tally`);
  if (element.childElementCount !== parts.length) {
    element.replaceChildren(...parts.map(() => document.createElement("span")));
    for (const [i, span] of [...element.children].entries()) {
      span.append("", document.createElement("b"));
      span.classList.toggle("minor", i > 1);
    }
  }
  parts.forEach(([name, value], i) => {
    element.children[i].firstChild.data = `${name} `;
    element.children[i].lastChild.textContent = value;
  });
}

/** Draw the newest frame and all that belongs to it. */
function draw() {
  drawing = false;
  if (document.body.dataset.link !== "live") return; // the connection was lost since: its end is what is shown
  const { header, arrays, pictures } = latest;
  if (header.agent !== shown?.name) layOut(header.agent);
  paint($("dream"), pictures[0]);
  if (pictures[1]) paint($("game"), pictures[1]);
  stats.painted(header);
  follow(header);

  actions.add(header.action, header.proposed);
  if (header.entropy !== null) entropy.add(header.entropy);
  if (header.game) apart.add(header.game.apart);
  if (stats.drawn % PLOT_EVERY && settings.playing) return;
  latent.draw(arrays[0], arrays[1]);
  $("entropy-text").textContent = header.entropy === null ? "" : `${header.entropy.toFixed(2)} of ${entropy.top.toFixed(2)} nats`;
  entropy.draw();
  actions.draw();
  if (header.game) {
    $("apart-text").textContent = number(header.game.apart, 2);
    apart.draw();
  }
}

/** Take over what the server says of the visit. */
function follow(header) {
  const { dream, game } = header;
  tally("dream", dream, [["end", dream.done === null ? "–" : `${(100 * dream.done).toFixed(1)} %`]]);
  if (game) tally("game", game);
  const next = settings.playing ? "Another begins in a moment." : "Press N for another.";
  const end = header.resting ? next : "";
  veil("dream", dream.over ? `The dream ended at step ${dream.step}. ${end}` : "");
  veil("game", game?.over ? `The game ended at step ${game.step}. ${end}` : "");
  $("dream-pane").classList.toggle("over", dream.over);
  $("game-pane").classList.toggle("over", Boolean(game?.over));
  $("game-pane").hidden = $("apart-plot").hidden = $("game-options").hidden = !game;
  $("panes").classList.toggle("two", Boolean(game));
  $("lead").textContent = game
    ? "The real game runs beside the dream, under the same actions. See where they part."
    : "No game is running. An agent imagines every frame, and you can take the wheel.";
  document.body.toggleAttribute("data-recording", header.recording !== null);
  $("record-text").textContent = header.recording === null ? "Record" : `Stop at ${header.recording.toFixed(1)} s`;
  $("seed").textContent = `Seed ${header.seed}`;
}

// Controls, by mouse and touch.
$("play").onclick = () => change({ playing: !settings.playing });
$("step").onclick = () => once("step");
$("restart").onclick = () => once("restart");
$("renew").onclick = () => once("renew");
$("from-game").onclick = () => once("from_game");
$("record").onclick = () => once(document.body.hasAttribute("data-recording") ? "stop" : "record");
$("agent").onchange = (event) => {
  change({ agent: event.target.value });
  if (byPointer) event.target.blur();
};
$("mode").onchange = (event) => change({ mode: event.target.value });
$("watches").onchange = (event) => change({ watches: event.target.value });
$("temperature").oninput = (event) => change({ temperature: Number(event.target.value) });
$("game-switch").onchange = (event) => change({ game: event.target.checked });
$("smooth").onchange = (event) => document.body.classList.toggle("smooth", event.target.checked);

// Controls, by key.
const warm = (by) => change({ temperature: Math.min(2, Math.max(0, Math.round((settings.temperature + by) * 20) / 20)) });
const SHORTCUTS = {
  " ": () => $("play").click(),
  ".": () => $("step").click(),
  r: () => once("restart"),
  n: () => once("renew"),
  m: () => change({ mode: MODES[(MODES.indexOf(settings.mode) + 1) % MODES.length] }),
  "+": () => warm(0.05),
  "=": () => warm(0.05),
  "-": () => warm(-0.05),
  g: () => change({ game: !settings.game }),
  f: () => once("from_game"),
  c: () => $("record").click(),
};
addEventListener("keydown", (event) => {
  const shortcut = SHORTCUTS[event.key.toLowerCase()];
  if (!shortcut || event.repeat || pad.byKey.has(event.code) || belongsElsewhere(event)) return;
  event.preventDefault();
  shortcut();
});

// Whoever uses a control by mouse plays on by keyboard: the control must not keep the keys. A list keeps them until
// something is chosen from it, and the pad's buttons are let go of by whoever holds them.
let byPointer = false;
addEventListener("keydown", () => (byPointer = false), true);
addEventListener("pointerdown", () => (byPointer = true), true);
addEventListener("pointerup", () => setTimeout(() => {
  if (document.activeElement?.matches("button:not([data-button]), input, summary, a")) document.activeElement.blur();
}));

function note(text, kind) {
  const element = document.createElement("p");
  element.className = kind;
  element.textContent = text;
  $("notes").append(element);
  while ($("notes").childElementCount > 3) $("notes").firstChild.remove();
  setTimeout(() => element.remove(), NOTE_TIME[kind]);
}

setInterval(() => {
  const live = document.body.dataset.link === "live";
  const fps = Math.round(stats.fps);
  $("rate").textContent = live && shown ? `${fps} frames/s${settings.playing ? ` of ${Math.round(shown.fps)}` : ""}` : "";
  $("delay").textContent = stats.delays.length ? `Key to frame: ${Math.round(stats.delay)} ms` : "";
  $("drops").textContent = stats.dropped ? `${stats.dropped} frames left out: this connection is too slow` : "";
}, 500);

reflect();
if (calm) note("Paused at first, because your system asks for less motion.", "note");
window.worldmodels = { stats, settings, get frame() { return latest; } };
