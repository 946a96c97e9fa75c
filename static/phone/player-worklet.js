// Plays the clinic's audio: a ring of 24 kHz samples that the page fills and `clear` empties at once.

const LINE_RATE = 24000;
const SECONDS_KEPT = 5;

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.ring = new Float32Array(LINE_RATE * SECONDS_KEPT);
    this.step = LINE_RATE / sampleRate;
    this.playing = false;
    this.empty();
    this.port.onmessage = ({ data }) => (data === "clear" ? this.empty() : this.fill(new Int16Array(data)));
  }

  empty() {
    this.read = 0;
    this.waiting = 0;
    this.between = 0;
  }

  fill(samples) {
    const size = this.ring.length;
    for (const sample of samples) {
      this.ring[(this.read + this.waiting) % size] = sample / 32768;
      if (this.waiting < size) this.waiting += 1;
      else this.read = (this.read + 1) % size;
    }
  }

  process(_inputs, [[channel]]) {
    const size = this.ring.length;
    for (let i = 0; i < channel.length; i += 1) {
      if (this.waiting === 0) {
        channel[i] = 0;
        continue;
      }
      const here = this.ring[this.read];
      const next = this.waiting > 1 ? this.ring[(this.read + 1) % size] : here;
      channel[i] = here + (next - here) * this.between;
      this.between += this.step;
      while (this.between >= 1 && this.waiting > 0) {
        this.between -= 1;
        this.read = (this.read + 1) % size;
        this.waiting -= 1;
      }
    }
    if (this.playing !== this.waiting > 0) {
      this.playing = this.waiting > 0;
      this.port.postMessage({ playing: this.playing });
    }
    return true;
  }
}

registerProcessor("player", Player);
