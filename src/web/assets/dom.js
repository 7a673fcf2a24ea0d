// Elements without innerHTML: what comes from elsewhere is text, and stays text.

const SVG = 'http://www.w3.org/2000/svg';
const PROPERTIES = new Set(['checked', 'disabled', 'hidden', 'selected', 'value', 'srcObject', 'muted', 'returnValue']);

function fill(element, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'data') for (const [name, of] of Object.entries(value)) element.dataset[name] = of;
    else if (key === 'vars') for (const [name, of] of Object.entries(value)) element.style.setProperty(name, of);
    else if (PROPERTIES.has(key)) element[key] = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  add(element, children);
  return element;
}

/** Appends texts, elements and lists of them; passes over null and false. */
export function add(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

/** An HTML element. `on…` listens, `data` and `vars` are data attributes and custom properties. */
export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);

/** An SVG element. */
export const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

/** Sets a text only if it differs, so that nothing is laid out in vain. */
export function setText(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

const ICONS = {
  camera: 'M2.5 7a1.5 1.5 0 0 1 1.5-1.5h2l1.2-2h5.6l1.2 2h2A1.5 1.5 0 0 1 17.5 7v8a1.5 1.5 0 0 1-1.5 1.5H4A1.5 1.5 0 0 1 2.5 15zM10 14a3 3 0 1 0 0-6 3 3 0 0 0 0 6z',
  check: 'm4 10.5 4 4 8-9',
  close: 'm5 5 10 10M15 5 5 15',
  copy: 'M7 7h9.5v9.5H7zM13 7V3.5H3.5V13H7',
  down: 'm5 8 5 5 5-5',
  file: 'M10 13V3.5M6.5 7 10 3.5 13.5 7M3 12.5V16a1 1 0 0 0 1 1h12a1 1 0 0 0 1-1v-3.5',
  large: 'M12 3.5h4.5V8M8 16.5H3.5V12M16.5 3.5 11.5 8.5M3.5 16.5l5-5',
  learn: 'M10 3.5v3M10 13.5v3M3.5 10h3M13.5 10h3M5.5 5.5l2 2M12.5 12.5l2 2M14.5 5.5l-2 2M7.5 12.5l-2 2',
  pencil: 'm12.5 4.5 3 3L7 16l-3.5.5L4 13z',
  plus: 'M10 4v12M4 10h12',
  stack: 'M6.5 6.5h10v10h-10zM3.5 13.5v-10h10',
  tag: 'M3.5 3.5h6l7 7-6 6-7-7zM7 7h.01',
  trash: 'M4 5.5h12M8 5.5v-2h4v2M5.5 5.5l.7 11h7.6l.7-11M8.5 8.5v5M11.5 8.5v5',
};

/** A small drawing for beside a text; on its own, its button needs a name. */
export const icon = (name) => s('svg', { viewBox: '0 0 20 20', class: 'icon', 'aria-hidden': 'true' }, s('path', { d: ICONS[name] }));

/** A button. */
export function button(text, onclick, { name, primary, danger, plain, ...props } = {}) {
  const kind = [primary && 'primary', danger && 'danger', plain && 'plain', props.class].filter(Boolean).join(' ');
  return h('button', { type: 'button', onclick, ...props, class: kind || null }, name && icon(name), text && h('span', null, text));
}

/** A field with its label above. */
export const field = (label, control, props) => h('label', { class: 'field', ...props }, h('span', null, label), control);

/** A list to choose from. `options` are pairs of value and text. */
export const select = (options, value, props) =>
  h('select', props, options.map(([of, text]) => h('option', { value: of, selected: of === value }, text)));

/** Waits until nothing was called for some milliseconds. */
export function debounce(call, wait) {
  let timer;
  return (...args) => { clearTimeout(timer); timer = setTimeout(() => call(...args), wait); };
}

/** A table. Each column is `{ title, number? }`, each row a list of cells, or `{ cells, ...props }`. */
export function table(caption, columns, rows, props) {
  const cell = (content, index) => h(index ? 'td' : 'th', { scope: index ? null : 'row', class: columns[index]?.number ? 'number' : null }, content);
  const row = (of) => {
    const { cells, ...rest } = Array.isArray(of) ? { cells: of } : of;
    return h('tr', rest, cells.map(cell));
  };
  return h('table', props,
    h('caption', { class: 'hush' }, caption),
    h('thead', null, h('tr', null, columns.map(({ title, number, hidden }) =>
      h('th', { scope: 'col', class: number ? 'number' : null }, hidden ? h('span', { class: 'hush' }, title) : title)))),
    h('tbody', null, rows.map(row)));
}

/** What is wider than the page scrolls by itself, by keyboard too. */
export const wide = (name, content) => h('div', { class: 'wide', tabindex: '0', role: 'group', 'aria-label': name }, content);
