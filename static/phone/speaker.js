// The earpiece: what the clinic says, and the tones of the caller's own keys.

const LINE_RATE = 24000;
const SHORTEST_TONE = 0.15;
const TONE_LEVEL = 0.12;

// The line may speak before the browser's audio has started: five seconds are kept for it.
const EARLY_FRAMES = 250;

// ITU-T Q.23: each key is the sum of its row's and its column's frequency, in Hz.
const ROWS = [697, 770, 852, 941];
const COLUMNS = [1209, 1336, 1477, 1633];
const LAYOUT = ["123A", "456B", "789C", "*0#D"];

export function frequencies(key) {
  const row = LAYOUT.findIndex((keys) => keys.includes(key));
  return [ROWS[row], COLUMNS[LAYOUT[row].indexOf(key)]];
}

export class Speaker {
  /** `onPlaying(true | false)` is told when the clinic's voice begins and ends. */
  constructor(onPlaying) {
    this.onPlaying = onPlaying;
    this.context = null;
    this.player = null;
    this.early = [];
  }

  /** Begin to make sound. Call it from a press, or the browser may refuse. Resolves to whether sound works. */
  async start() {
    try {
      if (!this.context) {
        this.context = new AudioContext({ sampleRate: LINE_RATE, latencyHint: "interactive" });
        const module = new URL("./player-worklet.js", import.meta.url);
        this.ready = this.context.audioWorklet.addModule(module).then(() => this.connect());
      }
      await this.ready;
      // A browser that wants another gesture first leaves this pending.
      await Promise.race([this.context.resume(), new Promise((resolve) => setTimeout(resolve, 1000))]);
      return this.works;
    } catch {
      return false;
    }
  }

  get works() {
    return this.player !== null && this.context.state === "running";
  }

  connect() {
    this.player = new AudioWorkletNode(this.context, "player", { numberOfInputs: 0, outputChannelCount: [1] });
    this.player.port.onmessage = ({ data }) => this.onPlaying(data.playing);
    this.player.connect(this.context.destination);
    for (const frame of this.early.splice(0)) this.play(frame);
  }

  /** Queue 20 ms of 24 kHz, 16 bit PCM (an ArrayBuffer). */
  play(frame) {
    if (this.player) this.player.port.postMessage(frame, [frame]);
    else if (this.early.length < EARLY_FRAMES) this.early.push(frame);
  }

  /** Fall silent at once. */
  clear() {
    this.early = [];
    this.player?.port.postMessage("clear");
  }

  /** Sound `key` until the function that comes back is called, and no shorter than a telephone does. */
  tone(key) {
    if (!this.context || this.context.state !== "running") return () => {};
    const began = this.context.currentTime;
    const gain = new GainNode(this.context, { gain: TONE_LEVEL });
    gain.connect(this.context.destination);
    const oscillators = frequencies(key).map((frequency) => {
      const oscillator = new OscillatorNode(this.context, { frequency });
      oscillator.connect(gain);
      oscillator.start();
      return oscillator;
    });
    return () => {
      const ends = Math.max(this.context.currentTime, began + SHORTEST_TONE);
      for (const oscillator of oscillators) oscillator.stop(ends);
      oscillators[0].onended = () => gain.disconnect();
    };
  }
}
