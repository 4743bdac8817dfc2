// Small live plots on canvases, in the colours of the page.

const SPAN = 240; // moments that a history shows
const LABEL = 84; // pixels for the names of an action's entries

let colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "soft", "line", "accent", "agent"]) colours[name] = style.getPropertyValue(`--${name}`);
}
readColours();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);

/** The canvas's context, cleared and scaled to CSS pixels, and its size in them. */
function cleared(canvas) {
  const ratio = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

function rule(context, y, width, left = 0) {
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(left, Math.round(y) + 0.5);
  context.lineTo(width, Math.round(y) + 0.5);
  context.stroke();
}

function curve(context, values, x, y, colour, lineWidth) {
  context.strokeStyle = colour;
  context.lineWidth = lineWidth;
  context.lineJoin = "round";
  context.beginPath();
  let down = false;
  values.forEach((value, i) => {
    if (value === null) down = false;
    else if (down) context.lineTo(x(i), y(value));
    else context.moveTo(x(i), y(value)), (down = true);
  });
  context.stroke();
}

/** The latent's numbers as bars, each with a band of M's standard deviation. */
export class Latent {
  constructor(canvas) {
    this.canvas = canvas;
  }

  draw(z, doubt) {
    const { context, width, height } = cleared(this.canvas);
    const middle = height / 2;
    const y = (value) => middle - (Math.max(-3.5, Math.min(3.5, value)) / 3.5) * (middle - 1);
    rule(context, middle, width);
    const pitch = width / z.length;
    const bar = Math.max(1.5, pitch * 0.42);
    z.forEach((value, i) => {
      const x = (i + 0.5) * pitch;
      context.fillStyle = colours.agent;
      context.globalAlpha = 0.45;
      const [top, bottom] = [y(value + doubt[i]), y(value - doubt[i])];
      context.fillRect(x - (pitch * 0.8) / 2, top, pitch * 0.8, bottom - top);
      context.globalAlpha = 1;
      context.fillStyle = colours.accent;
      context.fillRect(x - bar / 2, Math.min(middle, y(value)), bar, Math.max(1, Math.abs(y(value) - middle)));
    });
  }
}

/** One number over time, from 0 to `top` (or the largest seen lately, if that is more). */
export class History {
  values = [];

  constructor(canvas, top) {
    this.canvas = canvas;
    this.top = top;
  }

  clear() {
    this.values = [];
  }

  add(value) {
    this.values.push(value);
    if (this.values.length > SPAN) this.values.shift();
  }

  draw() {
    const { context, width, height } = cleared(this.canvas);
    const top = Math.max(this.top, ...this.values) * 1.05;
    rule(context, height - 1, width);
    const x = (i) => width - 1 - ((this.values.length - 1 - i) * width) / SPAN;
    curve(context, this.values, x, (value) => height - 2 - (value / top) * (height - 4), colours.accent, 1.5);
  }
}

/** Each entry of the action over time: what was done, and palely what the agent would have done. */
export class Actions {
  constructor(canvas) {
    this.canvas = canvas;
    this.setEntries([]);
  }

  setEntries(entries) {
    this.entries = entries.map((entry) => ({ ...entry, done: [], proposed: [] }));
    this.canvas.style.setProperty("--rows", entries.length);
  }

  add(action, proposed) {
    this.entries.forEach((entry, i) => {
      entry.done.push(action[i]);
      entry.proposed.push(proposed[i]);
      if (entry.done.length > SPAN) entry.done.shift(), entry.proposed.shift();
    });
  }

  draw() {
    const { context, width, height } = cleared(this.canvas);
    const pitch = height / this.entries.length;
    context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    context.textBaseline = "middle";
    this.entries.forEach(({ name, low, high, done, proposed }, row) => {
      const top = row * pitch + 4;
      const span = pitch - 8;
      const y = (value) => top + span - ((value - low) / (high - low)) * span;
      const x = (i) => width - 1 - ((done.length - 1 - i) * (width - LABEL)) / SPAN;
      context.fillStyle = colours.soft;
      context.fillText(name, 0, top + span / 2, LABEL - 8);
      rule(context, y(Math.min(high, Math.max(low, 0))), width, LABEL);
      curve(context, proposed, x, y, colours.agent, 1.25);
      curve(context, done, x, y, colours.accent, 1.75);
    });
  }
}
