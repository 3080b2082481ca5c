// Discord's markdown as DOM nodes. Everything a message says goes through text nodes: no markup of its own ever runs.

const INLINE = [
  ["code", /``(.+?)``|`([^`\n]+)`/],
  ["mention", /<@!?(\d+)>/],
  ["role", /<@&(\d+)>/],
  ["channel", /<#(\d+)>/],
  ["moment", /<t:(-?\d+)(?::([tTdDfFR]))?>/],
  ["command", /<\/([^:>]+):\d+>/],
  ["link", /\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)/],
  ["address", /https?:\/\/[^\s<>]+[^\s<>.,;:!?"')\]]/],
  ["strong", /\*\*([^]+?)\*\*(?!\*)/],
  ["underline", /__([^]+?)__/],
  ["emphasis", /\*([^*\n]+)\*|\b_([^_\n]+)_\b/],
  ["strike", /~~([^]+?)~~/],
  ["spoiler", /\|\|([^]+?)\|\|/],
  ["everyone", /@everyone|@here/],
  ["escaped", /\\([*_~`|\\<>#-])/],
];
const WRAPPERS = { strong: "strong", underline: "u", emphasis: "em", strike: "s" };

export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// The text of a message or of an embed's part; `names` knows members, roles and channels by id.
export function markdown(source, names) {
  const root = element("div", { className: "text" });
  for (const [index, piece] of source.split(/```(?:[a-z0-9+-]*\n)?([^]*?)```\n?/i).entries()) {
    if (index % 2) root.append(element("pre", {}, element("code", {}, piece.replace(/\n$/, ""))));
    else if (piece) lines(root, piece, names);
  }
  return root;
}

function lines(root, source, names) {
  const plain = [];
  const flush = () => {
    if (plain.length) inline(root, plain.splice(0).join("\n"), names);
  };
  for (const line of source.split("\n")) {
    const block = blockOf(line);
    if (block) {
      flush();
      const [tag, className, rest] = block;
      const node = element(tag, className ? { className } : {});
      inline(node, rest, names);
      root.append(node);
    } else {
      // A block already ends its line.
      if (!plain.length && root.lastChild instanceof HTMLElement && root.lastChild.matches("h3,h4,h5,small,blockquote,.item,pre")) plain.push(line);
      else if (!plain.length && root.lastChild) plain.push("", line);
      else plain.push(line);
    }
  }
  flush();
}

function blockOf(line) {
  let found;
  if ((found = /^(#{1,3}) +(.+)/.exec(line))) return [`h${found[1].length + 2}`, "", found[2]];
  if ((found = /^-# +(.+)/.exec(line))) return ["small", "", found[1]];
  if ((found = /^> (.*)/.exec(line))) return ["blockquote", "", found[1]];
  if ((found = /^ *[-*] +(.+)/.exec(line))) return ["span", "item", found[1]];
  return null;
}

function inline(root, source, names) {
  let rest = source;
  while (rest) {
    let first = null;
    for (const [kind, pattern] of INLINE) {
      const found = pattern.exec(rest);
      if (found && (!first || found.index < first.found.index)) first = { kind, found };
    }
    if (!first) {
      root.append(rest);
      return;
    }
    const { kind, found } = first;
    root.append(rest.slice(0, found.index), piece(kind, found, names));
    rest = rest.slice(found.index + found[0].length);
  }
}

function piece(kind, found, names) {
  const inner = found[1] ?? found[2] ?? "";
  switch (kind) {
    case "code": return element("code", {}, inner);
    case "mention": return chip(`@${names.members[inner] ?? "unknown-user"}`);
    case "role": return chip(`@${names.roles[inner] ?? "unknown-role"}`);
    case "channel": return chip(`#${names.channels[inner] ?? "unknown"}`);
    case "command": return chip(`/${inner}`);
    case "everyone": return chip(found[0]);
    case "moment": return moment(Number(inner), found[2] ?? "f");
    case "link": return link(found[2], inner);
    case "address": return link(found[0], found[0]);
    case "escaped": return inner;
    case "spoiler": return spoiler(inner, names);
    default: {
      const node = element(WRAPPERS[kind]);
      inline(node, inner, names);
      return node;
    }
  }
}

function chip(text) {
  return element("span", { className: "mention" }, text);
}

function link(address, text) {
  return element("a", { href: address, rel: "noreferrer noopener", target: "_blank" }, text);
}

function spoiler(text, names) {
  const node = element("button", { type: "button", className: "spoiler", title: "Spoiler" });
  inline(node, text, names);
  node.addEventListener("click", () => node.classList.add("shown"));
  return node;
}

function moment(seconds, style) {
  const node = element("time", { className: "moment", title: new Date(seconds * 1000).toLocaleString() });
  node.dataset.seconds = seconds;
  node.dataset.style = style;
  tellTime(node);
  return node;
}

const STYLES = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
};
const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

export function tellTime(node) {
  const seconds = Number(node.dataset.seconds);
  if (node.dataset.style !== "R") {
    node.textContent = new Intl.DateTimeFormat("en-GB", STYLES[node.dataset.style]).format(seconds * 1000);
    return;
  }
  const away = seconds - Date.now() / 1000;
  const [unit, size] = UNITS.find(([, length]) => Math.abs(away) >= length) ?? UNITS.at(-1);
  node.textContent = new Intl.RelativeTimeFormat("en", { numeric: "always" }).format(Math.trunc(away / size), unit);
}
