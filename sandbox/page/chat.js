// The page: one member's view of the guild, live. The member and the channel are in the address, so a reload keeps them.

import { hintsFor } from "./complete.js";
import { avatar, messageNode } from "./render.js";
import { element, tellTime } from "./text.js";

const $ = (id) => document.getElementById(id);
const address = new URLSearchParams(location.hash.slice(1));
const state = {
  member: address.get("member"),
  channel: address.get("channel"),
  overview: null,
  messages: new Map(),
  unread: new Map(),
  typed: [],
  recalled: 0,
  stream: null,
  typingTimer: 0,
  overviewTimer: 0,
};

async function ask(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, options);
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response.json();
}

const view = (path, query) => ask(`view/${path}?${new URLSearchParams(query)}`);
const act = (name, body) => ask(`do/${name}`, { member: state.member, ...body });

async function loadOverview() {
  const overview = await view("overview", { member: state.member ?? "" });
  if (!overview.members.some((each) => each.id === state.member)) {
    state.member = overview.members[0]?.id ?? null;
    if (state.member) return loadOverview();
  }
  state.overview = overview;
  const places = [...overview.channels.map((each) => each.id), overview.direct].filter(Boolean);
  if (!places.includes(state.channel)) state.channel = places[0] ?? null;
  showOverview();
}

function showOverview() {
  const { guild, bot, channels, direct, directOpen, members } = state.overview;
  document.title = `${guild} – sandbox chat`;
  $("guild").textContent = guild;
  $("channels").replaceChildren(...channels.map((each) => placeNode(each.id, each.name, element("span", { className: "sign", ariaHidden: "true" }, "#"))));
  $("direct").replaceChildren(direct ? placeNode(direct, bot.name, avatar(bot.id, bot.name, "tiny")) : firstDirect());
  $("member").replaceChildren(...members.map((each) => element("option", { value: each.id, selected: each.id === state.member }, each.roles.length ? `${each.name} (${each.roles.join(", ")})` : each.name)));
  $("direct-open").checked = directOpen;
  $("status").textContent = bot.online ? `${bot.name} is online` : `${bot.name} is offline`;
  $("status").classList.toggle("online", Boolean(bot.online));
  const me = members.find((each) => each.id === state.member);
  $("my-avatar").replaceWith(Object.assign(me ? avatar(me.id, me.name, "small") : element("span"), { id: "my-avatar" }));
  $("my-name").textContent = me?.name ?? "";
  $("my-roles").textContent = me?.roles.join(", ") ?? "";
  showPlace();
}

function firstDirect() {
  const { bot } = state.overview;
  const button = element("button", { type: "button" }, avatar(bot.id, bot.name, "tiny"), `Message ${bot.name}`);
  button.addEventListener("click", async () => {
    const { channel } = await act("open-direct", {});
    await loadOverview();
    if (channel) await openPlace(channel);
  });
  return element("li", {}, button);
}

function placeNode(id, name, sign) {
  const unread = state.unread.get(id) ?? 0;
  const button = element("button", { type: "button", className: unread ? "unread" : "" }, sign, name);
  button.setAttribute("aria-current", String(id === state.channel));
  if (unread) button.append(element("span", { className: "count", ariaLabel: `${unread} unread` }, String(unread)));
  button.addEventListener("click", () => openPlace(id));
  return element("li", {}, button);
}

function showPlace() {
  const { channels, direct, bot } = state.overview;
  const name = state.channel === direct ? `@${bot.name}` : `#${channels.find((each) => each.id === state.channel)?.name ?? ""}`;
  $("place").textContent = name.replace(/^#/, "# ").replace(/^@/, "@ ");
  $("line").placeholder = `Message ${name}`;
  history.replaceState(null, "", `#${new URLSearchParams({ member: state.member ?? "", channel: state.channel ?? "" })}`);
}

async function openPlace(id) {
  state.channel = id;
  state.unread.delete(id);
  $("typing").textContent = "";
  showOverview();
  await loadMessages();
  $("line").focus();
}

async function loadMessages() {
  if (!state.channel) return;
  const asked = state.channel;
  const messages = await view("messages", { member: state.member, channel: asked });
  if (asked !== state.channel) return;
  state.messages = new Map(messages.map((each) => [each.id, each]));
  showMessages();
  $("messages").scrollTop = $("messages").scrollHeight;
}

function showMessages() {
  const list = $("messages");
  const bottom = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const held = document.activeElement?.dataset?.customId && { id: document.activeElement.closest(".message")?.dataset.id, customId: document.activeElement.dataset.customId };
  const names = {
    members: state.overview.names,
    roles: state.overview.roles,
    channels: Object.fromEntries(state.overview.channels.map((each) => [each.id, each.name])),
  };
  const nodes = [];
  let previous = null;
  for (const message of state.messages.values()) {
    nodes.push(messageNode(message, { names, me: state.member, previous, act: press }));
    previous = message;
  }
  list.replaceChildren(element("li", { className: "start" }, "This is the beginning of the conversation."), ...nodes);
  if (bottom) list.scrollTop = list.scrollHeight;
  if (held) list.querySelector(`[data-id="${held.id}"] [data-custom-id="${CSS.escape(held.customId)}"]`)?.focus();
}

async function press(node, message, customId, values) {
  node.classList.add("busy");
  const answer = await act("click", { message: message.id, customId, values }).catch((error) => ({ problem: error.message }));
  node.classList.remove("busy");
  const body = $("messages").querySelector(`[data-id="${message.id}"] .body`);
  body?.querySelector(".failed")?.remove();
  if (answer.problem) body?.append(element("div", { className: "failed", role: "alert" }, answer.problem));
}

function hear(note) {
  if (note.kind === "overview") {
    clearTimeout(state.overviewTimer);
    state.overviewTimer = setTimeout(loadOverview, 100);
  } else if (note.kind === "typing") {
    if (note.channel === state.channel) tellTyping();
  } else if (note.kind === "deleted") {
    if (state.messages.delete(note.id)) showMessages();
  } else {
    const { message } = note;
    if (message.channel_id === state.channel) {
      const mine = !state.messages.has(message.id) && [message.author.id, message.usedById].includes(state.member);
      state.messages.set(message.id, message);
      $("typing").textContent = "";
      showMessages();
      if (mine) $("messages").scrollTop = $("messages").scrollHeight;
    } else if (!message.edited_timestamp) {
      state.unread.set(message.channel_id, (state.unread.get(message.channel_id) ?? 0) + 1);
      showOverview();
    }
  }
}

function tellTyping() {
  $("typing").textContent = `${state.overview.bot.name} is typing…`;
  clearTimeout(state.typingTimer);
  state.typingTimer = setTimeout(() => ($("typing").textContent = ""), 10000);
}

function follow() {
  state.stream?.close();
  state.stream = new EventSource(`view/events?${new URLSearchParams({ member: state.member ?? "" })}`);
  state.stream.addEventListener("message", (event) => hear(JSON.parse(event.data)));
  // After a break the page may have missed something: it starts from what there is.
  state.stream.addEventListener("open", () => loadOverview().then(loadMessages));
  state.stream.addEventListener("error", () => {
    $("status").textContent = "the sandbox is away";
    $("status").classList.remove("online");
  });
}

function showHints() {
  const hints = state.overview ? hintsFor($("line").value, $("line").selectionStart, state.overview) : [];
  $("hints").hidden = !hints.length;
  $("hints").classList.toggle("people", hints.some((each) => each.person));
  $("hints").replaceChildren(...hints.map((hint) => {
    const button = element("button", { type: "button" }, element("b", {}, hint.label), element("i", {}, hint.options.join(" ")), element("span", {}, hint.description));
    button.addEventListener("click", () => {
      fill(hint.line, hint.caret);
      $("line").focus();
    });
    return element("li", {}, button);
  }));
}

function fill(text, caret = text.length) {
  $("hints").hidden = true;
  $("line").value = text;
  $("line").setSelectionRange(caret, caret);
}

// Through the lines that were sent from this page; below the last one is an empty line.
function recall(step) {
  state.recalled = Math.min(Math.max(state.recalled + step, 0), state.typed.length);
  fill(state.typed[state.recalled] ?? "");
}

$("writer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const content = $("line").value.trim();
  if (!content) return;
  fill("");
  if (state.typed.at(-1) !== content) state.typed.push(content);
  state.recalled = state.typed.length;
  $("problem").hidden = true;
  const answer = await act("say", { channel: state.channel, content }).catch((error) => ({ problem: error.message }));
  $("problem").textContent = answer.problem ?? "";
  $("problem").hidden = !answer.problem;
});
$("line").addEventListener("input", async () => {
  // The bot may have registered commands since the page was opened.
  if (["/", "!", "@"].includes($("line").value)) await loadOverview();
  showHints();
});
$("line").addEventListener("keydown", (event) => {
  const { key } = event;
  const open = !$("hints").hidden;
  if (key === "Escape") $("hints").hidden = true;
  const chooses = open && (key === "Tab" || (key === "Enter" && $("hints").matches(".people")));
  if (!chooses && !["ArrowUp", "ArrowDown"].includes(key)) return;
  event.preventDefault();
  if (chooses) $("hints").querySelector("button").click();
  else if (!open) recall(key === "ArrowUp" ? -1 : 1);
  else if (key === "ArrowUp") $("hints").querySelector("li:last-child button").focus();
});
$("hints").addEventListener("keydown", (event) => {
  const step = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[event.key];
  if (step) {
    event.preventDefault();
    (event.target.closest("li")[step]?.querySelector("button") ?? $("line")).focus();
  }
});
$("member").addEventListener("change", async (event) => {
  state.member = event.target.value;
  state.unread.clear();
  await loadOverview();
  await loadMessages();
  follow();
});
$("direct-open").addEventListener("change", (event) => act("direct-messages", { open: event.target.checked }));
setInterval(() => document.querySelectorAll("time.moment").forEach(tellTime), 5000);

loadOverview().then(follow);
