// The shell: which view is shown, in which language and colours, and who is logged in.

import { api, aborted, explain } from './api.js';
import { h, setText } from './dom.js';
import { choose, load, t, wish } from './i18n.js';
import { alarm, announce, undoNow } from './toast.js';

const VIEWS = {
  try: () => import('./try.js'),
  cameras: () => import('./cameras.js'),
  review: () => import('./review.js'),
  models: () => import('./models.js'),
  node: () => import('./node.js'),
};
const main = document.getElementById('main');
let shown = null;

/** `#/models/gate/3?a=b` as view, path and query. */
function parse() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const parts = path.split('/').map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  return { view: parts[0] in VIEWS ? parts[0] : 'try', path: parts.slice(1), query: new URLSearchParams(query) };
}

/** A view's rules, loaded once. */
const styles = new Map();
function style(name) {
  if (!styles.has(name)) {
    styles.set(name, new Promise((resolve) => {
      const link = h('link', { rel: 'stylesheet', href: `/assets/${name}.css`, onload: resolve, onerror: resolve });
      document.head.append(link);
    }));
  }
  return styles.get(name);
}

async function show({ focus = true, again = false } = {}) {
  if (location.hash && !location.hash.startsWith('#/')) return;
  const route = parse();
  if (!again && shown?.view === route.view && shown.update) {
    shown.update(route);
    return;
  }
  shown?.abort.abort();
  const abort = new AbortController();
  const mine = { view: route.view, abort, update: null };
  shown = mine;
  for (const link of document.querySelectorAll('#nav a')) {
    if (link.dataset.view === route.view) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${t(`nav.${route.view}`)} · glanced`;
  try {
    const [module] = await Promise.all([VIEWS[route.view](), style(route.view)]);
    if (shown !== mine) return;
    const root = h('div', { class: `view view-${route.view}` });
    main.replaceChildren(root);
    if (focus) { scrollTo(0, 0); main.focus({ preventScroll: true }); }
    mine.update = (await module.mount(root, { ...route, signal: abort.signal })) ?? null;
  } catch (error) {
    if (aborted(error) || shown !== mine) return;
    broken(error);
  }
}

function broken(error) {
  const { words, detail } = explain(error);
  main.replaceChildren(h('div', { class: 'view' },
    h('h1', null, t(`nav.${shown.view}`)),
    h('div', { class: 'note bad' }, h('p', null, words), detail && h('p', { lang: 'en', class: 'small' }, detail),
      h('button', { type: 'button', onclick: () => show({ again: true }) }, t('again')))));
  alarm(words);
}

function texts() {
  for (const element of document.querySelectorAll('[data-t]')) setText(element, t(element.dataset.t));
  for (const element of document.querySelectorAll('[data-t-label]')) element.setAttribute('aria-label', t(element.dataset.tLabel));
  document.getElementById('nav').setAttribute('aria-label', t('nav'));
  document.documentElement.dataset.ready = '';
}

function preferences() {
  const language = document.getElementById('language');
  language.value = wish();
  language.addEventListener('change', async () => {
    await choose(language.value);
    texts();
    await show({ focus: false, again: true });
    announce(t('language.changed'));
  });
  const theme = document.getElementById('theme');
  try { theme.value = localStorage.getItem('glanced.theme') ?? 'auto'; } catch { theme.value = 'auto'; }
  theme.addEventListener('change', () => {
    try { localStorage.setItem('glanced.theme', theme.value); } catch { document.documentElement.dataset.theme = theme.value; }
    dispatchEvent(new Event('glanced-theme'));
  });
}

async function session() {
  const logout = document.getElementById('logout');
  const known = await api('/api/session', { anonymous: true }).catch(() => null);
  logout.hidden = !(known?.login && known.in);
  return known;
}

async function start() {
  await load();
  preferences();
  texts();
  document.getElementById('skip').addEventListener('click', (event) => { event.preventDefault(); main.focus(); });
  document.getElementById('logout').addEventListener('click', async () => {
    await api('/api/session', { method: 'DELETE', anonymous: true }).catch(() => null);
    location.reload();
  });
  addEventListener('hashchange', () => show());
  addEventListener('glanced-login', session);
  document.addEventListener('keydown', (event) => {
    const typing = event.target.closest?.('input:not([type=checkbox]), textarea, select, dialog');
    if (event.key === 'z' && !event.ctrlKey && !event.metaKey && !event.altKey && !typing) undoNow();
  });
  const known = await session();
  await show({ focus: false });
  if (!known?.login || known.in) {
    const node = await api('/api/node').catch(() => null);
    setText(document.getElementById('of-node'), node?.node ?? '');
    learning();
  }
}

/** A small mark at "Models" while the node learns; looked at rarely, for it is said live where it matters. */
function learning() {
  const busy = document.getElementById('nav-busy');
  const look = async () => {
    if (document.hidden) return;
    const state = await api('/api/retrain', { anonymous: true }).catch(() => null);
    busy.hidden = !state?.running;
  };
  look();
  setInterval(look, 15_000);
  addEventListener('glanced-retrain', (event) => { busy.hidden = !event.detail.running; });
}

start();
