// A menu's options in the admin: only the fields that an option's action needs are shown.
const NEEDED = {
  message: ["say"],
  target_menu: ["submenu"],
  language: ["language"],
  person: ["person", "urgent"],
  topic: ["receptionist", "appointment", "callback", "voicemail"],
  identify_first: ["receptionist", "appointment", "callback", "voicemail", "person"],
};

function showNeededFields(option) {
  const action = option.querySelector("select[name$='-action']")?.value;
  for (const [field, actions] of Object.entries(NEEDED)) {
    const line = option.querySelector(`.field-line.field-${field}`);
    if (line) line.style.display = actions.includes(action) ? "" : "none";
  }
}

function showAll() {
  document.querySelectorAll("#options-group .form-group").forEach(showNeededFields);
}

document.addEventListener("DOMContentLoaded", showAll);
document.addEventListener("change", (event) => {
  if (event.target.matches("#options-group select[name$='-action']")) {
    showNeededFields(event.target.closest(".form-group"));
  }
});
document.addEventListener("formset:added", (event) => {
  if (event.target.closest("#options-group")) {
    showNeededFields(event.target);
    // A new option starts open: its fields are what the office wants next. The page sets the row up first.
    setTimeout(() => event.target.querySelector("h3")?.click());
  }
});
