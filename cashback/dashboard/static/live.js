// Keeps a page live: the server sends the rendered parts that changed, and this script replaces them.
"use strict";

const connection = document.getElementById("connection");

// The HTML of each live part when it was last replaced. Unchanged parts are left alone, so that a press on a button in
// them is not lost.
const shown = new Map();

function replace(id, html) {
  const place = document.getElementById(id);
  if (!place) return;
  const incoming = document.createElement("template");
  incoming.innerHTML = html;
  if (shown.get(id) === incoming.innerHTML.trim()) return;
  shown.set(id, incoming.innerHTML.trim());
  // Keep the keyboard focus on a button inside the part.
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.innerHTML = html;
  dress(place);
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
      ? "This page is no longer live; load it again."
      : "The connection was lost; trying again.";
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

// A form is sent once, even if its button is pressed several times.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  for (const button of event.target.querySelectorAll("button")) setTimeout(() => { button.disabled = true; });
});
// Reload a page that the browser shows again from its cache, so that its buttons work.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

for (const place of document.querySelectorAll("[id]")) shown.set(place.id, place.innerHTML.trim());
dress(document);
if (document.body.dataset.live) listen(document.body.dataset.live);
countDown();
setInterval(countDown, 1000);
