// The node itself: its health, its work, its configuration.

import { aborted, api, explained } from './api.js';
import { spark } from './charts.js';
import { debounce, h, setText, table, wide } from './dom.js';
import { bytes, has, known, number, percent, span, t, word } from './i18n.js';

const EVERY_MS = 2000;

export async function mount(root, { signal }) {
  const tiles = {};
  const tile = (name, lined) => {
    const value = h('dd', { class: 'value' }, '–');
    const note = h('dd', { class: 'muted small' }, ' ');
    const line = lined ? spark() : null;
    tiles[name] = { value, note, line };
    return h('div', { class: 'tile' }, h('dt', null, t(`node.${name}`)), value, note, line && h('dd', { class: 'line' }, line.element));
  };
  const health = h('div', { class: 'health', id: 'node-health', role: 'status' });
  const name = h('span', { class: 'muted' });
  const trouble = h('p', { class: 'form-error', role: 'alert' });
  const drops = counts(t('node.drops'), t('node.reason'));
  const requests = counts(t('node.requests'), t('node.outcome'));
  const repeats = counts(t('node.repeats'), t('node.likeness'));
  const results = counts(t('node.results'), t('model'));
  const config = configuration(signal);
  root.append(
    h('div', { class: 'view-head' }, h('h1', null, t('node.title')), name, h('span', { class: 'grow' }), h('a', { href: '/metrics', class: 'small' }, t('node.metrics'))),
    health, trouble,
    h('dl', { class: 'tiles' }, tile('rate', true), tile('cpu', true), tile('memory', true), tile('queue'), tile('cameras'), tile('cache'), tile('uptime')),
    h('div', { class: 'node-grid' }, h('div', { class: 'stack' }, results.element, repeats.element, requests.element), drops.element),
    config.element);

  let before = null;
  async function look() {
    const now = await api('/api/node', { signal });
    setText(trouble, '');
    const at = performance.now();
    setText(name, `${now.node} · glanced ${now.version}`);
    showHealth(health, now);
    const set = (key, value, note = '') => { setText(tiles[key].value, value); setText(tiles[key].note, note); };
    set('rate', t('node.rate.value', { n: number(now.per_second, 1) }), t('node.rate.note', { n: now.received }));
    tiles.rate.line.add(now.per_second);
    const share = before ? (now.cpu_s - before.cpu_s) / ((at - before.at) / 1000) : null;
    set('cpu', known(share, (of) => `${number(100 * Math.max(0, of))} %`), t('node.cpu.note', { span: span(now.cpu_s) }));
    if (share !== null) tiles.cpu.line.add(Math.max(0, share));
    set('memory', bytes(now.rss_bytes), t('node.memory.note'));
    tiles.memory.line.add(now.rss_bytes);
    set('queue', number(now.waiting), t('node.queue.note', { n: now.workers }));
    set('cameras', number(now.cameras), t('node.cameras.note'));
    const { entries, hits, misses } = now.cache;
    set('cache', hits + misses ? percent(hits / (hits + misses), 0) : '–', t('node.cache.note', { n: entries, hits }));
    set('uptime', span(now.uptime_s), t('node.uptime.note'));
    before = { cpu_s: now.cpu_s, at };
    drops.show(Object.entries(now.dropped).map(([reason, n]) => [h('span', { class: 'spread' }, h('span', null, word('drop', reason)), has(`drop.${reason}`) && h('code', { class: 'aside' }, reason)), n]));
    repeats.show(Object.entries(now.repeats).map(([kind, n]) => [word('repeat', kind), n]));
    requests.show(Object.entries(now.requests).map(([outcome, n]) => [word('request', outcome), n]));
    results.show(now.results.map((of) => [`${of.name} ${of.version}`, of.results]));
    config.show(now.config ?? []);
  }

  await look();
  const timer = setInterval(() => {
    if (document.hidden) return;
    look().catch((error) => {
      if (aborted(error)) return;
      setText(trouble, explained(error));
    });
  }, EVERY_MS);
  signal.addEventListener('abort', () => clearInterval(timer));
}

function showHealth(box, { alive, ready }) {
  const state = alive ? 'bad' : ready ? 'warn' : 'good';
  if (box.dataset.state === state && box.dataset.why === (alive ?? ready ?? '')) return;
  box.dataset.state = state;
  box.dataset.why = alive ?? ready ?? '';
  box.className = `note ${state} health`;
  box.replaceChildren(h('p', null, h('strong', null, t(`health.${state}`))), ...(alive ?? ready ? [h('p', { class: 'small', lang: 'en' }, alive ?? ready)] : []));
}

/** A table of numbers, those that are zero pale. */
function counts(title, what) {
  const box = h('div');
  const element = h('section', { class: 'card' }, h('h2', null, title), box);
  let last = '';
  return {
    element,
    show(rows) {
      const next = JSON.stringify(rows.map(([, n]) => n));
      if (next === last) return;
      last = next;
      box.replaceChildren(rows.length ? table(title, [{ title: what }, { title: t('count'), number: true }], rows.map(([name, n]) => ({ class: n ? null : 'zero', cells: [name, number(n)] })))
        : h('p', { class: 'muted small' }, t('node.nothing')));
    },
  };
}

function configuration(signal) {
  let rows = [];
  const filter = h('input', { type: 'search', id: 'node-filter', placeholder: t('node.filter'), 'aria-label': t('node.filter'), oninput: debounce(draw, 80) });
  const only = h('input', { type: 'checkbox', id: 'node-changed', onchange: draw });
  const box = h('div');
  const found = h('p', { class: 'hush', role: 'status' });
  const element = h('section', { class: 'card config', 'aria-labelledby': 'config-title' },
    h('div', { class: 'card-head' }, h('h2', { id: 'config-title' }, t('node.config')), h('span', { class: 'grow' }),
      h('label', { class: 'check' }, only, h('span', null, t('node.changed'))), filter), found, box);
  function draw() {
    if (signal.aborted) return;
    const wanted = filter.value.trim().toLowerCase();
    const shown = rows.filter(({ key, value, origin }) => (!only.checked || origin !== 'default')
      && (!wanted || `${key} ${value} ${origin}`.toLowerCase().includes(wanted)));
    const columns = [{ title: t('node.key') }, { title: t('node.value') }, { title: t('node.origin') }];
    box.replaceChildren(wide(t('node.config'), table(t('node.config'), columns, shown.map(({ key, value, origin }) => ({
      class: origin === 'default' ? null : 'changed', data: { key },
      cells: [h('code', null, key), h('code', null, value), origin === 'default' ? h('span', { class: 'muted' }, t('node.default')) : origin],
    })), { id: 'node-config' })));
    setText(found, wanted ? t('node.found', { n: shown.length }) : '');
  }
  return {
    element,
    show(next) {
      if (JSON.stringify(next) === JSON.stringify(rows)) return;
      rows = next;
      draw();
    },
  };
}
