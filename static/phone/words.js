// What the page says of the call, in plain sentences.

export const STEPS = {
  greeting: "Greeting",
  consent: "Recording question",
  menu: "Menu",
  patient_id: "Patient ID",
  receptionist: "Receptionist",
  transfer: "Connecting you",
  request: "Your request",
  goodbye: "Goodbye",
};

const OUTCOMES = {
  failed: "Something went wrong on our side, and the call has ended. Please call again.",
  request_taken: "The call has ended. The office has your request.",
  consent_refused: "The call has ended.",
  busy: "All lines are busy. Please call again in a few minutes.",
};

function consent({ decision, recording, heard_to_end: heardToEnd }) {
  if (decision === "refused") return "You did not agree to the recording.";
  if (decision === "no_answer") return "This call is not recorded.";
  if (decision !== "given") return "";
  if (recording) return "You agreed to the recording.";
  return heardToEnd ? "You agreed." : "You agreed, but before the question was over. This call is not recorded.";
}

/** A note about `event` for the transcript, or an empty string where what was said is enough. */
export function note(event) {
  if (event.event === "consent") return consent(event);
  if (event.event === "menu") return `Chosen: ${event.option}`;
  if (event.event === "request") {
    return event.confirmed
      ? "Your request is with the office. It is not a booking yet."
      : "Your request is with the office, unconfirmed.";
  }
  if (event.event === "entry" && event.outcome === "invalid") return "That was not one of the choices.";
  if (event.event === "entry" && event.outcome === "too_short") return "That was too short.";
  if (event.event === "entry" && event.outcome === "no_input") return "Nothing was pressed.";
  return "";
}

/** Why the line is closed: see `Line` for what comes in. */
export function ending({ code, reason, wasUp, outcome, hungUp }) {
  if (code === 1000 && outcome) return OUTCOMES[outcome] ?? (hungUp ? "You hung up." : "The call has ended.");
  if (hungUp) return "You hung up.";
  if (code === 1000) return "Nobody could take the call. Please call again later.";
  if (code === 1001 || code === 1012) return "The phone line is being restarted. Please call again in a minute.";
  if (code >= 1003 && code !== 1006 && reason) return reason;
  if (wasUp) return "The connection was lost, and the call has ended. Please call again.";
  return "The phone line cannot be reached just now. Please try again in a moment.";
}
