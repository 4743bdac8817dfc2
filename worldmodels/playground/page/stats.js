// What the page measures of itself: frames a second, and the time from a key to the frame that obeys it.

const SPAN = 2000; // milliseconds over which the rate is taken
const KEPT = 200;

export class Stats {
  frames = 0; // received
  drawn = 0;
  dropped = 0; // left out by the server, because this page was too slow
  delays = []; // milliseconds from a key or touch to the drawing of the first frame that obeys it
  #arrivals = [];
  #pending = [];

  /** A frame came in. */
  received(header, now = performance.now()) {
    this.frames += 1;
    this.dropped = header.dropped;
    this.#arrivals.push(now);
    while (this.#arrivals[0] < now - SPAN) this.#arrivals.shift();
  }

  /** An input of that number was made at a time. */
  asked(input, time) {
    this.#pending.push({ input, time });
  }

  /** A frame was drawn that obeys all inputs up to its own. */
  painted(header, now = performance.now()) {
    this.drawn += 1;
    while (this.#pending.length && this.#pending[0].input <= header.input) {
      this.delays.push(now - this.#pending.shift().time);
    }
    this.delays.splice(0, this.delays.length - KEPT);
  }

  /** Forget what is under way: the connection is new, and so is its counting. */
  reset() {
    this.#pending = [];
    this.#arrivals = [];
  }

  /** Frames a second, over the last two seconds. */
  get fps() {
    const times = this.#arrivals;
    if (times.length < 2 || performance.now() - times.at(-1) > 1000) return 0;
    return (1000 * (times.length - 1)) / (times.at(-1) - times[0]);
  }

  /** Median delay in milliseconds; NaN before the first. */
  get delay() {
    const sorted = [...this.delays].sort((a, b) => a - b);
    return sorted.length ? sorted[sorted.length >> 1] : NaN;
  }
}
