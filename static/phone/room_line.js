// One call through the LiveKit server: the page's end of the room. The same functions as `Line` has.
//
// The agent's voice is a track, keys are SIP DTMF packets, and what the agent shows or the caller types are data
// packets under TOPIC, in the words of `agent_worker/lines/browser.py`.

// Each key stands at the place of its event code (RFC 4733 section 3.2).
const KEYS = "0123456789*#ABCD";
const TOPIC = "clinic-phone";
const RINGING_SECONDS = 30;

export class RoomLine {
  /**
   * `tokenAddress` gives the way into a room, `clientAddress` is livekit-client's module. `on` is as `Line` has it,
   * with `voice(true | false)` in place of `audio`, `clear` and `listen`: the clinic's voice begins and ends.
   */
  constructor(tokenAddress, clientAddress, on) {
    this.on = on;
    this.wasUp = false;
    this.outcome = "";
    this.hungUp = false;
    this.over = false;
    this.early = [];
    this.room = null;
    this.begin(tokenAddress, clientAddress).catch((error) => {
      console.warn(error);
      this.end({ code: 1006, reason: "" });
    });
  }

  press(key) {
    this.send(() => this.room.localParticipant.publishDtmf(KEYS.indexOf(key), key));
  }

  say(text) {
    const packet = new TextEncoder().encode(JSON.stringify({ type: "text", text }));
    this.send(() => this.room.localParticipant.publishData(packet, { reliable: true, topic: TOPIC }));
  }

  /** Resolves when the microphone is in the room, or out of it. Rejects when the caller or the machine says no. */
  async microphone(on) {
    if (this.wasUp && !this.over) await this.room.localParticipant.setMicrophoneEnabled(on);
  }

  hangUp() {
    this.hungUp = true;
    this.end({ code: 1000, reason: "" });
  }

  async begin(tokenAddress, clientAddress) {
    const [client, pass] = await Promise.all([clientAddress && import(clientAddress), askForPass(tokenAddress)]);
    if (this.over) return;
    const refusal = client ? pass.sentence : "This page cannot make calls yet. Please call by telephone.";
    if (refusal) {
      this.end({ code: 1013, reason: refusal });
      return;
    }
    // It reports the end of each call as an error. What matters of it comes as an event or a rejection.
    client.setLogLevel("silent");
    await this.enter(client, pass);
  }

  async enter({ Room, RoomEvent, DisconnectReason }, { server, token }) {
    this.room = new Room();
    this.room
      .on(RoomEvent.TrackSubscribed, (track) => this.agentSpeaks(track))
      .on(RoomEvent.TrackUnsubscribed, (track) => track.detach())
      .on(RoomEvent.ActiveSpeakersChanged, (speakers) => this.on.voice(speakers.some((speaker) => speaker.isAgent)))
      .on(RoomEvent.DataReceived, (packet, _from, _kind, topic) => topic === TOPIC && this.receive(packet))
      .on(RoomEvent.Disconnected, (reason) => {
        const stopped = reason === DisconnectReason.SERVER_SHUTDOWN;
        const ended = reason === DisconnectReason.ROOM_DELETED || reason === DisconnectReason.PARTICIPANT_REMOVED;
        this.end({ code: stopped ? 1012 : ended ? 1000 : 1006, reason: "" });
      });
    this.ringing = setTimeout(() => this.end({ code: 1000, reason: "" }), RINGING_SECONDS * 1000);
    await this.room.connect(server, token);
    if (this.over) this.room.disconnect();
  }

  /** The agent is in the room and can be heard: only now does it hear keys. */
  agentSpeaks(track) {
    track.attach();
    if (this.wasUp) return;
    this.wasUp = true;
    clearTimeout(this.ringing);
    this.early.splice(0).forEach((send) => this.send(send));
    this.on.up();
  }

  send(packet) {
    if (this.over) return;
    if (this.wasUp) packet().catch(console.warn);
    else this.early.push(packet);
  }

  receive(packet) {
    const message = JSON.parse(new TextDecoder().decode(packet));
    if (message.type !== "event") return;
    if (message.event.event === "ended") this.outcome = message.event.outcome;
    this.on.event(message.event);
  }

  end({ code, reason }) {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.ringing);
    this.on.voice(false);
    this.room?.disconnect();
    this.on.closed({ code, reason, wasUp: this.wasUp, outcome: this.outcome });
  }
}

/** `{ server, token }`, or `{ sentence }` where the site refuses. Rejects when it cannot be reached. */
async function askForPass(address) {
  const answer = await fetch(address, { method: "POST" });
  const json = answer.headers.get("Content-Type")?.startsWith("application/json");
  if (!json) throw new Error(`No room was given: ${answer.status}`);
  return answer.json();
}
