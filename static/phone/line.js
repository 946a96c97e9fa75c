// One call on the phone line: the page's end of the socket. `agent_worker/lines/browser.py` has the protocol.

export class Line {
  /**
   * `on` has a function for each thing the line does: `up()`, `audio(ArrayBuffer)`, `clear()`, `listen(on)`,
   * `event({…})`, and once, at the end, `closed({ code, reason, wasUp, outcome })`.
   */
  constructor(address, on) {
    this.on = on;
    this.wasUp = false;
    this.outcome = "";
    this.early = [];
    const url = new URL(address, window.location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.early.splice(0).forEach((data) => this.socket.send(data));
    this.socket.onmessage = ({ data }) => this.receive(data);
    this.socket.onclose = ({ code, reason }) =>
      this.on.closed({ code, reason, wasUp: this.wasUp, outcome: this.outcome });
  }

  press(key) {
    this.send({ type: "key", key, id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` });
  }

  say(text) {
    this.send({ type: "text", text });
  }

  microphone(on) {
    this.send({ type: "mic", on });
  }

  speak(frame) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(frame);
  }

  /** Hang up. The clinic's end closes the socket; if it does not, we do. */
  hangUp() {
    if (this.socket.readyState === WebSocket.CONNECTING) {
      this.socket.close();
      return;
    }
    this.send({ type: "hangup" });
    setTimeout(() => this.socket.close(1000), 2000);
  }

  send(message) {
    const data = JSON.stringify(message);
    if (this.socket.readyState === WebSocket.CONNECTING) this.early.push(data);
    else if (this.socket.readyState === WebSocket.OPEN) this.socket.send(data);
  }

  receive(data) {
    if (typeof data !== "string") {
      this.on.audio(data);
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "clear") this.on.clear();
    else if (message.type === "listen") this.on.listen(message.on);
    else if (message.type === "event") this.on.event(message.event);
    else if (message.type === "state" && message.state === "in_call") {
      this.wasUp = true;
      this.on.up();
    } else if (message.type === "state") this.outcome = message.reason;
  }
}
