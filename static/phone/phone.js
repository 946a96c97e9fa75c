// The phone page: its buttons, its words, and the call between them.

import { Line } from "./line.js";
import { Microphone } from "./microphone.js";
import { RoomLine } from "./room_line.js";
import { Speaker } from "./speaker.js";
import { Transcript } from "./transcript.js";
import { STEPS, ending, note } from "./words.js";

const phone = document.querySelector("main.phone");
const find = (name) => phone.querySelector(`[data-part="${name}"]`);
const state = find("state");
const step = find("step");
const timer = find("timer");
const callButton = find("call");
const hangUpButton = find("hang-up");
const microphoneButton = find("microphone");
const sayForm = find("say");
const sayInput = sayForm.elements.namedItem("text");
const announcer = find("announcer");
const keys = new Map([...phone.querySelectorAll("[data-key]")].map((button) => [button.dataset.key, button]));

const transcript = new Transcript(find("transcript"));
const speaker = new Speaker(showVoice);
const microphone = new Microphone((frame) => line?.speak(frame));

let line = null;
let hungUp = false;
let listening = false;
let microphoneWanted = false;
let audioHeard = false;
let beganAt = 0;
let ticking = 0;

function show(name, words) {
  phone.dataset.state = name;
  state.textContent = words;
}

/** Let a screen reader say what the caller cannot hear. */
function announce(words) {
  announcer.textContent = words;
}

function setInCall(inCall) {
  callButton.hidden = inCall;
  hangUpButton.hidden = !inCall;
  for (const button of keys.values()) button.disabled = !inCall;
  for (const field of sayForm.elements) field.disabled = !inCall;
  if (microphoneButton) microphoneButton.disabled = !inCall;
}

function call() {
  hungUp = false;
  listening = false;
  audioHeard = false;
  speaker.clear();
  transcript.empty();
  transcript.language = "";
  step.textContent = "";
  timer.textContent = "0:00";
  show("connecting", "Calling…");
  setInCall(true);
  hangUpButton.focus();
  speaker.start().then((works) => {
    if (!works) transcript.note("Sound could not be started. The words are shown here, and the keys work.");
  });
  line = newLine();
}

/** The line of this site: through its LiveKit server, or, where it has none, to the site itself. */
function newLine() {
  const { token, client, line: address } = phone.dataset;
  if (token) return new RoomLine(token, client, { up, voice, event, closed });
  return new Line(address, { up, audio, clear: () => speaker.clear(), listen, event, closed });
}

function up() {
  show("in_call", "In call");
  beganAt = performance.now();
  ticking = setInterval(showTime, 250);
  if (microphoneWanted) useMicrophone();
}

function showTime() {
  const seconds = Math.floor((performance.now() - beganAt) / 1000);
  timer.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function audio(frame) {
  // A clinic without a voice sends silence for as long as reading takes.
  audioHeard ||= new Int16Array(frame).some((sample) => sample !== 0);
  speaker.play(frame);
}

function voice(speaking) {
  audioHeard ||= speaking;
  showVoice(speaking);
}

function showVoice(speaking) {
  phone.dataset.voice = speaking ? "speaking" : "silent";
}

function event(happened) {
  if (happened.event === "step") step.textContent = STEPS[happened.step] ?? "";
  else if (happened.event === "prompt") {
    transcript.clinicSays(happened.text);
    // The audio of a prompt follows its words; where none comes, a screen reader has to say them.
    setTimeout(() => (!audioHeard || !speaker.works) && announce(happened.text), 600);
  } else if (happened.event === "silenced") transcript.promptCut();
  else if (happened.event === "key") transcript.callerPresses(happened.key);
  else if (happened.event === "speech") transcript.callerSays(happened.text);
  else if (happened.event === "language") transcript.language = happened.language;
  const words = note(happened);
  if (words) transcript.note(words);
}

async function listen(on) {
  listening = on;
  await useMicrophone({ tellLine: false });
}

/** Let the line have the microphone or not. Without a LiveKit server it is open only while the call listens. */
async function useMicrophone({ tellLine = true } = {}) {
  try {
    if (tellLine) await line?.microphone(microphoneWanted);
    if (microphoneWanted && listening) await microphone.open();
    else microphone.close();
  } catch {
    transcript.note("The microphone could not be used. You can type instead.");
    await setMicrophone(false);
  }
}

async function setMicrophone(on) {
  microphoneWanted = on;
  microphoneButton.setAttribute("aria-pressed", String(on));
  await useMicrophone();
}

function closed(how) {
  clearInterval(ticking);
  line = null;
  microphone.close();
  if (how.code !== 1000) speaker.clear();
  const words = ending({ ...how, hungUp });
  show(how.outcome === "busy" ? "busy" : how.code === 1000 || hungUp ? "ended" : "failed", words);
  step.textContent = "";
  const focused = document.activeElement;
  setInCall(false);
  if (phone.contains(focused) || focused === document.body) callButton.focus();
}

function hangUp() {
  hungUp = true;
  show("ending", "Hanging up…");
  speaker.clear();
  line?.hangUp();
}

/** Press `key`; the function that comes back lets go of it. */
function press(key) {
  const button = keys.get(key);
  if (!line || hungUp || button.disabled) return () => {};
  line.press(key);
  const endTone = speaker.tone(key);
  button.classList.add("down");
  return () => {
    endTone();
    button.classList.remove("down");
  };
}

for (const [key, button] of keys) {
  let pointed = false;
  button.addEventListener("pointerdown", (pointer) => {
    if (pointer.button !== 0) return;
    pointed = true;
    const release = press(key);
    button.setPointerCapture(pointer.pointerId);
    button.addEventListener(
      "lostpointercapture",
      () => {
        release();
        // The click of this press is still to come.
        setTimeout(() => (pointed = false));
      },
      { once: true },
    );
  });
  // Enter, the space bar and screen readers click without a pointer.
  button.addEventListener("click", () => {
    if (!pointed) press(key)();
  });
}

const held = new Map();
document.addEventListener("keydown", (typed) => {
  const writing = typed.target instanceof HTMLInputElement;
  if (writing || typed.repeat || typed.ctrlKey || typed.altKey || typed.metaKey) return;
  if (!/^[0-9*#]$/.test(typed.key) || !line) return;
  typed.preventDefault();
  held.set(typed.code, press(typed.key));
});
document.addEventListener("keyup", (typed) => {
  held.get(typed.code)?.();
  held.delete(typed.code);
});

sayForm.addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const text = sayInput.value.trim();
  if (text && line) {
    line.say(text);
    sayInput.value = "";
  }
});

microphoneButton?.addEventListener("click", () => setMicrophone(!microphoneWanted));
callButton.addEventListener("click", call);
hangUpButton.addEventListener("click", hangUp);
setInCall(false);
callButton.disabled = false;
