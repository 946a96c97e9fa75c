// The caller's microphone. It is open only while it is switched on and the call listens.

export class Microphone {
  /** `send(ArrayBuffer)` takes 20 ms of 16 kHz, 16 bit PCM. */
  constructor(send) {
    this.send = send;
    this.stream = null;
    this.context = null;
  }

  /** Ask the browser for the microphone. Rejects when the caller or the machine says no. */
  async open() {
    if (this.stream) return;
    const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule(new URL("./microphone-worklet.js", import.meta.url));
    const source = this.context.createMediaStreamSource(this.stream);
    const cutter = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    cutter.port.onmessage = ({ data }) => this.send(data);
    source.connect(cutter);
  }

  close() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.context?.close();
    this.stream = null;
    this.context = null;
  }
}
