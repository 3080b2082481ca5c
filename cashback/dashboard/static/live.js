// Keeps a page live: the server sends the parts that changed, as it renders them; this puts them in their places.
"use strict";

const connection = document.getElementById("connection");

// What each live part held when it was put there, as the browser writes it: what is the same is left alone, so that a
// press on a button in it is not lost.
const held = new Map();

function replace(id, html) {
  const place = document.getElementById(id);
  if (!place) return;
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  if (held.get(id) === fresh.innerHTML.trim()) return;
  held.set(id, fresh.innerHTML.trim());
  // Whoever stands on a button inside with the keyboard stays there.
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.innerHTML = html;
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function listen(address) {
  const source = new EventSource(address);
  source.addEventListener("open", () => { connection.textContent = ""; });
  source.addEventListener("parts", (event) => {
    for (const [id, html] of Object.entries(JSON.parse(event.data))) replace(id, html);
    countDown();
  });
  source.addEventListener("ended", () => {
    source.close();
    location.assign("/sign-in");
  });
  source.addEventListener("error", () => {
    connection.textContent = source.readyState === EventSource.CLOSED
      ? "This page is not live any more; load it again."
      : "The connection is gone; trying again.";
  });
}

const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function inWords(seconds) {
  const parts = [];
  let left = Math.max(Math.floor(seconds), 0);
  for (const [name, size] of units) {
    const count = Math.floor(left / size);
    left %= size;
    if (count) parts.push(`${count} ${name}${count === 1 ? "" : "s"}`);
  }
  return parts.slice(0, 2).join(" ") || "now";
}

function countDown() {
  for (const place of document.querySelectorAll("[data-countdown]")) {
    place.textContent = inWords((Date.parse(place.dateTime) - Date.now()) / 1000);
  }
}

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  for (const button of event.target.querySelectorAll("button")) setTimeout(() => { button.disabled = true; });
});
// A page that is shown again from the browser's memory has its buttons back.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

for (const place of document.querySelectorAll("[id]")) held.set(place.id, place.innerHTML.trim());
if (document.body.dataset.live) listen(document.body.dataset.live);
countDown();
setInterval(countDown, 1000);
