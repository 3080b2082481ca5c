// Messages as DOM nodes: author, text, embeds, files, buttons and menus.

import { element, markdown } from "./text.js";

const TONES = 6;
const GROUP_MS = 7 * 60 * 1000;
const BUTTON = 2;
const LINK = 5;

export function avatar(id, name, size = "") {
  const words = name.trim().split(/[\s_-]+/);
  const initials = words.slice(0, 2).map((word) => [...word][0] ?? "").join("").toUpperCase();
  const tone = Number(BigInt(id) % BigInt(TONES));
  return element("span", { className: `avatar ${size} tone${tone}`, ariaHidden: "true" }, initials);
}

// `view` has: names, me (id), previous (message or null), act(button or menu node, message, custom id, values).
export function messageNode(message, view) {
  const node = element("li", { className: "message" });
  node.dataset.id = message.id;
  node.classList.toggle("private", message.ephemeral);
  node.classList.toggle("pings", pings(message, view.me));
  node.classList.toggle("more", continues(message, view.previous));
  if (message.usedBy && message.usedCommand) {
    node.append(element("div", { className: "used" }, avatar(message.usedById, message.usedBy, "tiny"), `${message.usedBy} used `, element("b", {}, `/${message.usedCommand}`)));
  }
  const body = element("div", { className: "body" }, head(message));
  if (message.loading) body.append(element("div", { className: "loading" }, `${message.author.username} is thinking…`));
  if (message.content) body.append(content(message, view.names));
  for (const embed of message.embeds) body.append(embedNode(embed, view.names));
  for (const file of message.attachments) body.append(fileNode(file));
  for (const row of message.components) body.append(rowNode(row, message, view));
  if (message.ephemeral) body.append(element("div", { className: "note" }, "👁 Only you can see this"));
  const tools = element("div", { className: "tools" }, copyButton("Copy member ID", message.author.id), copyButton("Copy message ID", message.id));
  node.append(avatar(message.author.id, message.author.username), body, tools);
  return node;
}

function copyButton(label, id) {
  const node = element("button", { type: "button" }, label);
  node.dataset.copy = id;
  return node;
}

function pings(message, me) {
  return message.author.id !== me && (message.mention_everyone || message.mentions.some((user) => user.id === me));
}

function continues(message, previous) {
  return Boolean(
    previous && previous.author.id === message.author.id && previous.ephemeral === message.ephemeral && !message.usedCommand
    && Date.parse(message.timestamp) - Date.parse(previous.timestamp) < GROUP_MS,
  );
}

function head(message) {
  const when = new Date(message.timestamp);
  const today = when.toDateString() === new Date().toDateString();
  const clock = when.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  const shown = today ? `Today at ${clock}` : `${when.toLocaleDateString("en-GB")} ${clock}`;
  const node = element("div", { className: "head" }, element("strong", {}, message.author.username));
  if (message.author.bot) node.append(element("span", { className: "tag" }, "APP"));
  node.append(element("time", { dateTime: message.timestamp, title: when.toLocaleString() }, shown));
  return node;
}

function content(message, names) {
  const node = markdown(message.content, names);
  if (message.edited_timestamp) node.append(element("span", { className: "edited" }, " (edited)"));
  return node;
}

function embedNode(embed, names) {
  const node = element("article", { className: "embed" });
  if (embed.color !== undefined && embed.color !== null) node.style.borderLeftColor = `#${embed.color.toString(16).padStart(6, "0")}`;
  if (embed.author) node.append(element("div", { className: "author" }, embed.author.name));
  if (embed.title) {
    const title = markdown(embed.title, names);
    title.classList.add("title");
    if (/^https?:\/\//.test(embed.url ?? "")) title.replaceChildren(element("a", { href: embed.url, rel: "noreferrer noopener", target: "_blank" }, ...title.childNodes));
    node.append(title);
  }
  if (embed.description) node.append(markdown(embed.description, names));
  if (embed.fields?.length) node.append(fieldsNode(embed.fields, names));
  const footer = [embed.footer?.text, embed.timestamp && new Date(embed.timestamp).toLocaleString("en-GB", { dateStyle: "short", timeStyle: "short" })];
  if (footer.some(Boolean)) node.append(element("div", { className: "footer" }, footer.filter(Boolean).join(" • ")));
  return node;
}

// Inline fields stand up to three in a row, and share a row's width when they are two.
function fieldsNode(fields, names) {
  const node = element("div", { className: "fields" });
  let row = [];
  const close = () => {
    for (const each of row) each.classList.add(row.length === 2 ? "half" : "third");
    row = [];
  };
  for (const field of fields) {
    const name = markdown(field.name, names);
    name.classList.add("name");
    const cell = element("div", {}, name, markdown(field.value, names));
    node.append(cell);
    if (!field.inline || row.length === 3) close();
    if (field.inline) row.push(cell);
  }
  close();
  return node;
}

function fileNode(file) {
  const address = new URL(file.url).pathname;
  if (file.content_type?.startsWith("image/")) return element("img", { className: "picture", src: address, alt: file.description ?? file.filename });
  const link = element("a", { href: address, download: file.filename }, file.filename);
  return element("div", { className: "file" }, element("b", { ariaHidden: "true" }, "📄"), element("div", {}, link, element("span", {}, sizeOf(file.size))));
}

function sizeOf(bytes) {
  return bytes < 1024 ? `${bytes} bytes` : `${(bytes / 1024).toFixed(2)} KB`;
}

function rowNode(row, message, view) {
  const node = element("div", { className: "row" });
  for (const part of row.components ?? []) node.append(part.type === BUTTON ? buttonNode(part, message, view) : menuNode(part, message, view));
  return node;
}

function buttonNode(part, message, view) {
  const label = [part.emoji?.name, part.label].filter(Boolean).join(" ");
  if (part.style === LINK) {
    const safe = /^https?:\/\//.test(part.url) ? part.url : "#";
    return element("a", { className: "style5", href: safe, rel: "noreferrer noopener", target: "_blank" }, `${label} ↗`);
  }
  const node = element("button", { type: "button", className: `style${part.style}`, disabled: Boolean(part.disabled) }, label);
  node.dataset.customId = part.custom_id;
  node.addEventListener("click", () => view.act(node, message, part.custom_id, null));
  return node;
}

function menuNode(part, message, view) {
  const node = element("select", { disabled: Boolean(part.disabled), ariaLabel: part.placeholder ?? "Choose" });
  node.append(element("option", { value: "", selected: true, disabled: true }, part.placeholder ?? "Make a selection"));
  for (const option of part.options ?? []) node.append(element("option", { value: option.value }, option.label));
  node.addEventListener("change", () => view.act(node, message, part.custom_id, [node.value]));
  return node;
}
