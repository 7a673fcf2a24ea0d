// The page's two languages: texts, and numbers, times and sizes as they are written there.

const KEY = 'glanced.language';
let words = {};
let language = 'en';

/** What is chosen: auto, en or zh. */
export function wish() {
  try { return localStorage.getItem(KEY) ?? 'auto'; } catch { return 'auto'; }
}

/** Chooses, remembers, loads. */
export async function choose(wanted) {
  try { localStorage.setItem(KEY, wanted); } catch { /* Not remembered then. */ }
  await load();
}

/** Loads the texts of the language in force. */
export async function load() {
  const wanted = wish();
  const first = (navigator.languages ?? [navigator.language]).find((tag) => /^(en|zh)\b/i.test(tag)) ?? 'en';
  language = wanted === 'en' || wanted === 'zh' ? wanted : /^zh/i.test(first) ? 'zh' : 'en';
  words = (await (language === 'zh' ? import('./zh.js') : import('./en.js'))).default;
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
}

export const lang = () => language;

/** A text. `{name}` is replaced; of `one|many` the first is for n = 1. */
export function t(key, values = {}) {
  const text = words[key];
  if (text === undefined) return key;
  const [one, many = one] = text.split('|');
  return (values.n === 1 ? one : many).replace(/\{(\w+)\}/g, (all, name) => (typeof values[name] === 'number' ? number(values[name]) : values[name]) ?? all);
}

/** Whether there is such a text. */
export const has = (key) => key in words;

/** The text of a word that the node uses, or the word itself. */
export const word = (group, name) => (has(`${group}.${name}`) ? t(`${group}.${name}`) : name);

/** A class's names: that of the page's language first. */
export function names({ label, label_zh: zh }) {
  if (!zh || zh === label) return { first: label, firstLang: null, second: '', secondLang: null };
  return language === 'zh'
    ? { first: zh, firstLang: 'zh-CN', second: label, secondLang: 'en' }
    : { first: label, firstLang: 'en', second: zh, secondLang: 'zh-CN' };
}

/** What a view of a frame is called, by the node's name for it. */
export const viewName = (name) => name.split(', ').map((part) => {
  const [, start, rest] = /^(scale|turned) (.+)$/.exec(part) ?? [null, part, ''];
  return rest ? t(`view.${start}`, { value: rest }) : word('view', part);
}).join(language === 'zh' ? '，' : ', ');

const formats = new Map();
function format(options) {
  const key = language + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(language, options));
  return formats.get(key);
}

export const number = (value, digits = 0) => format({ maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
export const known = (value, show) => (value === null || value === undefined || Number.isNaN(value) ? '–' : show(value));

/** A share as per cent: one digit after the point, and never 100 or 0 of what is not quite. */
export function percent(share, digits = 1) {
  if (share === null || share === undefined) return '–';
  const step = 10 ** -(digits + 2);
  const shown = share < 1 && share > 1 - step / 2 ? 1 - step : share > 0 && share < step / 2 ? step : share;
  const text = number(100 * shown, digits);
  return `${shown !== share && shown === step ? '<' : ''}${shown !== share && shown !== step ? '>' : ''}${text} %`;
}

export const ms = (value) => `${number(value, value < 100 ? 1 : 0)} ms`;

export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let power = 0;
  while (value >= 1024 && power < units.length - 1) { value /= 1024; power += 1; }
  return `${number(value, power && value < 100 ? 1 : 0)} ${units[power]}`;
}

/** A length of time in its two largest units. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = parts.findIndex(([size], index) => whole >= size || index === 3);
  const [size, unit] = parts[first];
  const rest = whole % size;
  const next = parts[first + 1];
  const head = t(`unit.${unit}`, { n: Math.floor(whole / size) });
  return next && rest >= next[0] ? `${head} ${t(`unit.${next[1]}`, { n: Math.floor(rest / next[0]) })}` : head;
}

/** How long ago; below ten seconds with a digit after the point. */
export function ago(seconds) {
  if (seconds < 0.95) return t('ago.now');
  return t('ago', { span: seconds < 9.95 ? t('unit.s', { n: number(seconds, 1) }) : span(seconds) });
}

/** A time of day, with the date if it is not today's. */
export function when(text) {
  if (!text) return '–';
  const date = new Date(text);
  const today = new Date().toDateString() === date.toDateString();
  const options = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };
  if (!today) Object.assign(options, { day: 'numeric', month: 'short', second: undefined });
  if (!today && date.getFullYear() !== new Date().getFullYear()) options.year = 'numeric';
  return new Intl.DateTimeFormat(language === 'zh' ? 'zh-CN' : 'en-GB', options).format(date);
}
