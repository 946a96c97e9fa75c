// The list of what was said and done.

export class Transcript {
  constructor(list) {
    this.list = list;
    this.language = "";
    this.lastPrompt = null;
    this.keys = null;
  }

  empty() {
    this.list.replaceChildren();
    this.lastPrompt = null;
    this.keys = null;
  }

  clinicSays(text) {
    this.lastPrompt = this.add("clinic", "Clinic", text);
    if (this.language) this.lastPrompt.lang = this.language;
  }

  promptCut() {
    this.lastPrompt?.classList.add("cut");
  }

  callerPresses(key) {
    if (this.keys) this.keys.textContent += ` ${key}`;
    else {
      const words = this.add("caller keys", "You pressed", key);
      this.keys = words;
    }
    this.follow();
  }

  callerSays(text) {
    this.add("caller", "You", text);
  }

  note(text) {
    this.add("note", "", text);
  }

  add(kind, who, text) {
    this.keys = null;
    const item = document.createElement("li");
    item.className = kind;
    if (who) {
      const speaker = document.createElement("span");
      speaker.className = "who";
      speaker.textContent = `${who} `;
      item.append(speaker);
    }
    const words = document.createElement("span");
    words.className = "words";
    words.textContent = text;
    item.append(words);
    this.list.append(item);
    this.follow();
    return words;
  }

  follow() {
    this.list.scrollTop = this.list.scrollHeight;
  }
}
