// What could complete the line: the bot's commands, and members after an @. Nothing here touches the page.

const GROUPS = 2;
const MOST_PEOPLE = 10;

// A hint has: label, options, description; line and caret after it was chosen; `person` if it names a member.
export function hintsFor(line, caret, overview) {
  const found = /(?:^|[\s:])@([^@]*)$/.exec(line.slice(0, caret));
  const people = found ? peopleFor(found[1], line, caret, overview) : [];
  return people.length ? people : commandsFor(line, overview);
}

function peopleFor(part, line, caret, overview) {
  const begun = part.toLowerCase();
  const names = [...new Set(Object.values(overview.names))].filter((each) => each.toLowerCase().includes(begun));
  const starts = (name) => name.toLowerCase().startsWith(begun);
  const ordered = [...names.filter(starts), ...names.filter((each) => !starts(each))].slice(0, MOST_PEOPLE);
  if (ordered.length === 1 && ordered[0].toLowerCase() === begun) return [];
  return ordered.map((name) => {
    const before = `${line.slice(0, caret - part.length)}${name} `;
    return { label: `@${name}`, options: [], description: "", line: before + line.slice(caret), caret: before.length, person: true };
  });
}

function commandsFor(line, overview) {
  const isSlash = line.startsWith("/");
  if (!line || (isSlash && line.includes(":"))) return [];
  const usages = isSlash ? slashUsages(overview) : typedUsages(overview);
  return usages.filter((each) => each.label.startsWith(line.trimEnd())).map((each) => {
    const next = `${each.label} ${isSlash && each.options.length ? each.options[0].replace("?", "") : ""}`;
    return { ...each, line: next, caret: next.length };
  });
}

function slashUsages({ commands }) {
  return commands.flatMap((each) => spread(`/${each.name}`, each, (option) => `${option.name}:${option.required ? "" : "?"}`));
}

// A typed command takes its options by their place, and its group may stand alone.
function typedUsages({ commands, typed }) {
  return typed.flatMap((text) => {
    const command = commands.find((each) => each.name === text.replace(/^\W+/, "")) ?? { description: "" };
    const usages = spread(text, command, (option) => (option.required ? option.name : `[${option.name}]`));
    const alone = { label: text, options: [], description: command.description };
    return usages.some((each) => each.label === text) ? usages : [alone, ...usages];
  });
}

function spread(label, command, written) {
  const options = command.options ?? [];
  const inner = options.filter((each) => each.type <= GROUPS);
  if (inner.length) return inner.flatMap((each) => spread(`${label} ${each.name}`, each, written));
  return [{ label, options: options.map(written), description: command.description }];
}
