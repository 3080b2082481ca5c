// Times in the reader's own zone, names of columns for cards on a phone, sorting, and copying. Without it every page
// still shows everything: times in UTC, tables as they came.
"use strict";

const steps = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat(navigator.language, { numeric: "auto" });
const local = new Intl.DateTimeFormat(navigator.language, { dateStyle: "medium", timeStyle: "short" });
const withWeekday = new Intl.DateTimeFormat(navigator.language, { dateStyle: "full", timeStyle: "short" });

function fromNow(moment) {
  const seconds = (moment - Date.now()) / 1000;
  const [unit, size] = steps.find(([, length]) => Math.abs(seconds) >= length) || ["minute", 60];
  return relative.format(Math.round(seconds / size), unit);
}

function showTimes(place) {
  for (const each of place.querySelectorAll("time:not([data-countdown])")) {
    const moment = Date.parse(each.dateTime);
    if (Number.isNaN(moment)) continue;
    each.dataset.utc ||= each.textContent;
    each.title = each.dataset.utc;
    const [exact, distance] = [document.createElement("span"), document.createElement("small")];
    exact.textContent = ("weekday" in each.dataset ? withWeekday : local).format(moment);
    distance.textContent = `(${fromNow(moment)})`;
    each.replaceChildren(exact, " ", distance);
  }
}

function nameZone() {
  for (const each of document.querySelectorAll("[data-zone]")) each.textContent = "Times are local; hover over one for UTC.";
}

function labelCells(place) {
  for (const table of place.querySelectorAll("table.cards")) {
    const names = [...table.querySelectorAll("thead th")].map((each) => each.textContent.trim());
    for (const row of table.tBodies[0]?.rows ?? []) {
      if (row.cells.length !== names.length) continue;
      [...row.cells].forEach((cell, column) => {
        cell.dataset.label = names[column];
        cell.classList.toggle("void", ["", "–"].includes(cell.textContent.trim()));
      });
    }
  }
}

function keyOf(cell) {
  const moment = cell.querySelector("time");
  if (moment) return Date.parse(moment.dateTime);
  const text = cell.textContent.trim();
  return cell.classList.contains("number") && /[0-9]/.test(text) ? amountIn(text) : text.toLowerCase();
}

// The first number of a text, in the signs of the page's language: "12.750 ¥ to 15" is 12750 with a decimal comma.
function amountIn(text) {
  const [found] = text.match(/[0-9][0-9.,'’٬٫\s]*/);
  const decimal = document.documentElement.dataset.decimal || ".";
  const amount = Number([...found].filter((each) => /[0-9]/.test(each) || each === decimal).join("").replace(decimal, "."));
  return /^[^0-9]*[-−]/.test(text) ? -amount : amount;
}

function compare(one, other) {
  if (typeof one === typeof other) return one < other ? -1 : Number(one > other);
  return typeof one === "number" ? 1 : -1;
}

function sortBy(head, column) {
  const body = head.closest("table").tBodies[0];
  const isDown = head.getAttribute("aria-sort") !== "descending";
  const rows = [...body.rows].filter((row) => row.cells.length > column);
  rows.sort((one, other) => compare(keyOf(one.cells[column]), keyOf(other.cells[column])) * (isDown ? -1 : 1));
  for (const each of head.parentNode.cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
  body.append(...rows);
}

function makeSortable(place) {
  for (const head of place.querySelectorAll("table[data-sorts] thead th")) {
    if (head.querySelector(".sort") || head.closest("table").tBodies[0]?.rows.length < 2) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.title = "Sort the rows on this page";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sortBy(head, head.cellIndex));
    head.append(button);
  }
}

function makeCopyable(place) {
  if (!navigator.clipboard) return;
  for (const each of place.querySelectorAll("[data-copy]")) {
    if (each.nextElementSibling?.matches(".copy")) continue;
    const text = each.textContent.trim();
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${text}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    });
    each.after(button);
  }
}

nameZone();

// A part of a live page was replaced.
function dress(place) {
  showTimes(place);
  labelCells(place);
  makeSortable(place);
  makeCopyable(place);
}

// A form that needs a second thought asks before it is sent.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.asks;
  if (question && !confirm(question)) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}, true);
