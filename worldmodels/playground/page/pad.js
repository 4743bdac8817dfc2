// The game's buttons, by keyboard, mouse and touch: which are held, in the order in which they were pressed.

const ARROWS = { left: "←", right: "→", up: "↑", down: "↓" };
const HANDS = [["left", "right"], ["down", "up"], ["row"]];
const OWN_ARROWS = 'select, input[type="range"], input[type="radio"]';

/** Whether a key belongs to the control that has the focus, or to the browser. */
export function belongsElsewhere(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  const control = event.target instanceof Element ? event.target : document.body;
  if (event.code === "Space" || event.code === "Enter") return control.matches("button, a, summary, select, input");
  const moves = /^(Arrow|Home|End|Page)/.test(event.code);
  return control.matches("select") || (moves && control.matches(OWN_ARROWS));
}

export class Pad {
  held = [];

  /** @param {(held: string[], time: number) => void} changed  told whenever what is held changes */
  constructor(element, changed) {
    this.element = element;
    this.changed = changed;
    this.byKey = new Map();
    addEventListener("keydown", (event) => this.#key(event, true));
    addEventListener("keyup", (event) => this.#key(event, false));
    addEventListener("blur", (event) => this.release(event.timeStamp));
    document.addEventListener("visibilitychange", (event) => this.release(event.timeStamp));
  }

  /** Lay out the buttons of a game. */
  setButtons(buttons) {
    this.release(performance.now());
    this.byKey = new Map(buttons.flatMap((button) => button.keys.map((key) => [key, button.name])));
    const hands = HANDS.map((places) => {
      const mine = places.flatMap((place) => buttons.filter((button) => button.place === place));
      const hand = document.createElement("div");
      hand.className = places[0] === "row" ? "hand row" : "hand";
      hand.append(...mine.map((button) => this.#element(button)));
      return mine.length ? hand : null;
    });
    this.element.replaceChildren(...hands.filter(Boolean));
  }

  /** Let go of everything. */
  release(time) {
    if (this.held.length) this.#set([], time);
  }

  #element(button) {
    const element = document.createElement("button");
    const sign = document.createElement("b");
    sign.textContent = ARROWS[button.place] ?? button.label;
    element.append(sign);
    if (button.place !== "row") element.append(button.label);
    element.dataset.button = button.name;
    element.setAttribute("aria-label", `Hold: ${button.label}`);
    element.setAttribute("aria-pressed", "false");
    const press = (event) => this.#hold(button.name, true, event.timeStamp);
    const release = (event) => this.#hold(button.name, false, event.timeStamp);
    element.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // no focus, which would keep the space bar
      element.setPointerCapture(event.pointerId);
      press(event);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) element.addEventListener(end, release);
    for (const [type, act] of [["keydown", press], ["keyup", release]]) {
      element.addEventListener(type, (event) => {
        if (event.code !== "Space" && event.code !== "Enter") return;
        event.preventDefault();
        act(event);
      });
    }
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    return element;
  }

  #key(event, down) {
    const name = this.byKey.get(event.code);
    if (!name || (down && belongsElsewhere(event))) return;
    if (down) event.preventDefault();
    this.#hold(name, down, event.timeStamp);
  }

  #hold(name, down, time) {
    if (this.held.includes(name) === down) return;
    this.#set(down ? [...this.held, name] : this.held.filter((other) => other !== name), time);
  }

  #set(held, time) {
    this.held = held;
    for (const element of this.element.querySelectorAll("[data-button]")) {
      element.setAttribute("aria-pressed", String(held.includes(element.dataset.button)));
    }
    this.changed(held, time);
  }
}
