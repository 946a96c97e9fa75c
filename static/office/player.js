// Plays the recordings of a page: a press on a line of the timeline goes there, and the line of the moment is marked.
// Each play from a standstill is asked for, because it is put on record; the answer's link works for some minutes.

const UNREACHABLE = "The recording could not be reached. Try again.";

const clock = (seconds) => {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

class Player {
  constructor(element) {
    const panel = element.closest("section");
    this.part = (name) => panel.querySelector(`[data-part="${name}"]`);
    this.address = element.dataset.player;
    this.starts = Number(element.dataset.starts);
    this.seconds = Number(element.dataset.seconds);
    this.token = element.querySelector("[name=csrfmiddlewaretoken]").value;
    this.audio = new Audio();
    this.audio.preload = "auto";
    this.part("length").textContent = clock(this.seconds);
    this.part("play").addEventListener("click", () => (this.audio.paused ? this.play() : this.audio.pause()));
    this.part("place").addEventListener("input", (event) => this.goTo(Number(event.target.value)));
    this.part("speed").addEventListener("change", (event) => { this.audio.playbackRate = Number(event.target.value); });
    for (const name of ["play", "pause", "ended"]) this.audio.addEventListener(name, () => this.showState());
    this.audio.addEventListener("timeupdate", () => this.showPlace());
    this.audio.addEventListener("loadedmetadata", () => this.learnLength());
    this.audio.addEventListener("ended", () => this.forget());
    this.audio.addEventListener("error", () => { if (this.audio.hasAttribute("src")) this.lost(); });
    this.place = 0;
    this.lines = [];
  }

  // Seconds since the call began, as the timeline counts.
  get moment() { return this.starts + this.place; }

  async play(place = this.place) {
    this.say("");
    players.forEach((other) => { if (other !== this) other.audio.pause(); });
    if (!this.audio.hasAttribute("src") && !(await this.begin())) return;
    this.goTo(place);
    this.audio.playbackRate = Number(this.part("speed").value);
    await this.audio.play().catch(() => {});
  }

  async begin() {
    this.part("play").disabled = true;
    try {
      const answer = await fetch(this.address, { method: "POST", headers: { "X-CSRFToken": this.token } });
      const { address, sentence } = await answer.json();
      if (sentence) this.say(sentence);
      if (address) this.audio.src = address;
      return Boolean(address);
    } catch {
      this.say(UNREACHABLE);
      return false;
    } finally {
      this.part("play").disabled = false;
    }
  }

  goTo(place) {
    this.place = Math.min(Math.max(place, 0), this.seconds || place);
    if (this.audio.hasAttribute("src")) this.audio.currentTime = this.place;
    this.showPlace(this.place);
  }

  learnLength() {
    if (!Number.isFinite(this.audio.duration)) return;
    this.seconds = this.audio.duration;
    this.part("length").textContent = clock(this.seconds);
    this.part("place").max = this.seconds;
  }

  // The next play is another one, and is put on record as such.
  forget() {
    this.audio.removeAttribute("src");
    this.audio.load();
    this.place = 0;
    this.showPlace(0);
  }

  // The link may have become too old in the middle: the next press asks for another one and goes on here.
  lost() {
    const { place } = this;
    this.forget();
    this.goTo(place);
    this.say(UNREACHABLE);
    this.showState();
  }

  showState() {
    const playing = !this.audio.paused;
    this.part("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    this.part("play").firstElementChild.textContent = playing ? "pause" : "play_arrow";
  }

  showPlace(place = this.audio.currentTime) {
    this.place = place;
    this.part("place").value = place;
    this.part("now").textContent = clock(place);
    const past = this.lines.filter((line) => Number(line.dataset.at) <= this.moment + 0.05);
    const present = this.audio.hasAttribute("src") || place > 0 ? past.at(-1) : undefined;
    this.lines.forEach((line) => line.removeAttribute("aria-current"));
    present?.setAttribute("aria-current", "true");
  }

  say(sentence) { this.part("says").textContent = sentence; }

  takeLine(line) {
    this.lines.push(line);
    line.dataset.plays = "";
    line.tabIndex = 0;
    line.title = "Listen from here";
    const listen = () => this.play(Number(line.dataset.at) - this.starts);
    line.addEventListener("click", listen);
    line.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      listen();
    });
  }
}

const players = [...document.querySelectorAll("[data-player]")].map((element) => new Player(element));

for (const line of document.querySelectorAll(".office-line[data-at]")) {
  const at = Number(line.dataset.at);
  const player = players.find(({ starts, seconds }) => at >= starts - 0.05 && at <= starts + seconds);
  if (player) player.takeLine(line);
}
