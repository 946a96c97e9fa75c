// Keeps open admin pages up to date: a badge with the open requests, a notice for each new one, and the pieces
// of the page that name an address to look at again (data-office-live). No patient data comes over the socket.
"use strict";

(() => {
  const FIRST_RETRY = 1000;
  const LAST_RETRY = 30000;
  const NOTICE_STAYS = 12000;
  let retry = FIRST_RETRY;

  function connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/office/live/`);
    socket.addEventListener("open", () => { retry = FIRST_RETRY; });
    socket.addEventListener("message", (message) => show(JSON.parse(message.data)));
    socket.addEventListener("close", (event) => {
      // 4403: this person may not see requests, and asking again will not change it.
      if (event.code === 4403) return;
      setTimeout(connect, retry * (0.75 + Math.random() / 2));
      retry = Math.min(retry * 2, LAST_RETRY);
    });
  }

  function show(news) {
    badge(news.open_requests, news.overdue_requests);
    if (news.new_requests > 0) notice(news);
    document.querySelectorAll("[data-office-live]").forEach(refresh);
  }

  function badge(open, overdue) {
    document.querySelectorAll('#nav-sidebar a[href$="/phone/request/"], .office-totals a[href$="/phone/request/"]').forEach((link) => {
      let mark = link.querySelector(".office-badge");
      if (!mark) {
        mark = document.createElement("span");
        mark.className = "office-badge";
        link.append(mark);
      }
      mark.textContent = open > 0 ? String(open) : "";
      mark.classList.toggle("office-badge-overdue", overdue > 0);
      mark.title = `${open} open, ${overdue} overdue`;
    });
  }

  function notice(news) {
    const box = document.createElement("div");
    box.className = "office-notice" + (news.urgent ? " office-notice-urgent" : "");
    box.setAttribute("role", news.urgent ? "alert" : "status");
    const link = document.createElement("a");
    link.href = news.requests_url;
    const many = news.new_requests > 1 ? `${news.new_requests} new requests` : "A new request";
    link.textContent = news.urgent ? `${many}: urgent` : many;
    const close = document.createElement("button");
    close.type = "button";
    close.setAttribute("aria-label", "Close");
    close.textContent = "×";
    close.addEventListener("click", () => box.remove());
    box.append(link, close);
    document.body.append(box);
    if (!news.urgent) setTimeout(() => box.remove(), NOTICE_STAYS);
  }

  async function refresh(element) {
    try {
      const answer = await fetch(element.dataset.officeLive, { credentials: "same-origin" });
      if (answer.ok && !answer.redirected) element.innerHTML = await answer.text();
    } catch {
      // The server is away; the socket's next message looks again.
    }
  }

  document.addEventListener("DOMContentLoaded", connect);
})();
