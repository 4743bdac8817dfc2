// The connection to the server: JSON to it, JSON and frames from it, and a new try whenever it is lost.

const LAST_WAIT = 5; // seconds between tries, at most
const FULL = 1013;

/** A binary message: a JSON header, arrays of float32, pictures of 64x64x3 bytes (see `protocol.py`). */
export function decoded(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let offset = 4 + length;
  const arrays = header.arrays.map((count) => {
    const array = new Float32Array(buffer, offset, count);
    offset += 4 * count;
    return array;
  });
  const pictures = Array.from({ length: header.pictures }, (_, i) => new Uint8Array(buffer, offset + i * 12288, 12288));
  return { header, arrays, pictures };
}

export class Wire {
  #socket = null;
  #tries = 0;
  #timer = 0;
  #input = 0;

  /**
   * @param {() => object} begin  the first message of a visit
   * @param {object} on  what to do: hello, frame, note, problem, writing, recording (a message each), state (text)
   */
  constructor(begin, on) {
    this.begin = begin;
    this.on = on;
    this.#open();
  }

  /** Send what the visitor wants; returns the number of the input. */
  ask(message) {
    this.#input += 1;
    this.#send({ ...message, id: this.#input });
    return this.#input;
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #open() {
    const address = new URL("visit", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    let full = false;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) {
        const frame = decoded(data);
        this.#send({ type: "seen", frame: frame.header.frame });
        this.on.frame(frame);
        return;
      }
      const message = JSON.parse(data);
      if (message.type === "hello") {
        this.#tries = 0;
        this.on.hello(message);
        this.#send({ type: "begin", ...this.begin() });
        this.on.state("live", "Connected");
      } else if (message.type === "full") {
        full = true;
        this.on.state("full", message.text);
      } else {
        this.on[message.type]?.(message);
      }
    };
    socket.onclose = ({ code }) => this.#wait(full || code === FULL);
    this.#socket = socket;
  }

  /** Count down to the next try. */
  #wait(full) {
    this.#tries += 1;
    let left = full ? LAST_WAIT : Math.min(LAST_WAIT, this.#tries);
    clearInterval(this.#timer);
    const tick = () => {
      if (left <= 0) {
        clearInterval(this.#timer);
        this.on.state(full ? "full" : "gone", full ? "Asking for a place" : "Looking for the server");
        this.#open();
        return;
      }
      const what = full ? "The dream is full. Asking again" : "The server is gone. Trying again";
      this.on.state(full ? "full" : "gone", `${what} in ${left} s`);
      left -= 1;
    };
    tick();
    this.#timer = setInterval(tick, 1000);
  }
}
