// Choosing what a frame shows, in either language: a combobox in a dialog.

import { aborted, api, explained, path } from './api.js';
import { open } from './dialog.js';
import { h, setText } from './dom.js';
import { names, t } from './i18n.js';

/** What was chosen before, the newest first: often the next frame shows the same. */
const recent = [];
const same = (a, b) => a.trim().toLowerCase() === b.trim().toLowerCase();
const sameClass = (a, b) => (a.class ?? a.label) === (b.class ?? b.label);

function remember(model, chosen) {
  const known = recent.findIndex((of) => of.model === model && sameClass(of.chosen, chosen));
  if (known >= 0) recent.splice(known, 1);
  recent.unshift({ model, chosen });
  recent.length = Math.min(recent.length, 20);
}

/** Asks what it shows. `suggest` are classes to begin with. Gives `{ label, label_zh?, class }`, or null. */
export async function pick({ title, model, suggest = [] }) {
  const chosen = await open('picker', title ?? t('picker.title'), (close) => build(close, model, suggest), { className: 'picker' });
  if (chosen) remember(model, chosen);
  return chosen;
}

function build(close, model, suggest) {
  let options = [];
  let active = -1;
  let asked = null;
  let answered = null;
  let entered = false;
  const input = h('input', {
    type: 'text', role: 'combobox', id: 'picker-input', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', maxlength: '200',
    'aria-expanded': 'true', 'aria-controls': 'picker-list', 'aria-autocomplete': 'list', 'aria-describedby': 'picker-hint',
    'data-first': true, placeholder: t('picker.placeholder'),
  });
  const list = h('ul', { role: 'listbox', id: 'picker-list', 'aria-label': t('picker.list') });
  const hint = h('p', { class: 'picker-hint', id: 'picker-hint' }, t('picker.hint'));
  const status = h('p', { class: 'hush', role: 'status' });

  function activate(index, scroll = true) {
    options[active]?.element.setAttribute('aria-selected', 'false');
    active = index;
    const option = options[active];
    option?.element.setAttribute('aria-selected', 'true');
    if (option) input.setAttribute('aria-activedescendant', option.element.id);
    else input.removeAttribute('aria-activedescendant');
    if (option && scroll) option.element.scrollIntoView({ block: 'nearest' });
  }

  function choose(index) {
    const { of } = options[index] ?? {};
    if (of) close(of);
  }

  function option(of, index) {
    const { first, firstLang, second, secondLang } = names(of);
    const fresh = of.fresh;
    const element = h('li', {
      role: 'option', id: `picker-${index}`, 'aria-selected': 'false', data: { class: of.class ?? '', label: of.label },
      class: fresh ? 'fresh' : null, onclick: () => choose(index), onpointermove: () => active !== index && activate(index, false),
    }, fresh ? h('span', { class: 'name' }, t('picker.new', { label: of.label }))
      : [h('span', { class: 'name', lang: firstLang }, first), h('span', { class: 'other', lang: secondLang }, second),
        h('span', { class: 'aside' }, of.note ?? (of.class === null ? t('picker.taught') : of.id ?? ''))]);
    return { of, element };
  }

  function show(found, text) {
    const exact = found.some((of) => same(of.label, text) || same(of.label_zh ?? '', text));
    const all = text && !exact ? [...found, { label: text, class: null, fresh: true }] : found;
    options = all.map(option);
    list.replaceChildren(...options.map(({ element }) => element));
    // A class that nobody has heard of may be a slip: it is offered, and taken when it was asked for once more.
    activate(found.length && text ? 0 : -1);
    setText(status, t('picker.found', { n: found.length }));
    setText(hint, text && !found.length ? t('picker.unheard') : t('picker.hint'));
    if (entered) enter();
  }

  function start(few) {
    const first = suggest.map((of) => ({ ...of, note: t('picker.seen') }));
    for (const { model: of, chosen } of recent) {
      if (of === model && first.length < 8 && !first.some((one) => sameClass(one, chosen))) first.push({ ...chosen, fresh: false, note: t('picker.recent') });
    }
    for (const of of few) if (!first.some((one) => sameClass(one, of))) first.push(of);
    show(first, '');
  }

  async function ask() {
    const text = input.value.trim();
    asked?.abort();
    asked = new AbortController();
    answered = null;
    try {
      const { labels } = await api(path('/api/labels', { model, q: text, limit: 20 }), { signal: asked.signal });
      answered = text;
      // Without a word, a model of a thousand classes has nothing to offer; one of two has it all.
      if (text) show(labels, text);
      else start(labels.length < 20 ? labels : []);
    } catch (error) {
      if (aborted(error)) return;
      answered = text;
      show([], text);
      setText(hint, explained(error));
    }
  }

  function enter() {
    entered = false;
    if (active >= 0) choose(active);
    else if (options.at(-1)?.of.fresh) { activate(options.length - 1); setText(status, t('picker.unheard')); }
  }

  input.addEventListener('input', () => { entered = false; ask(); });
  input.addEventListener('keydown', (event) => {
    const move = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (move && options.length) {
      event.preventDefault();
      const to = active < 0 ? (move > 0 ? 0 : options.length - 1) : active + move;
      activate(Math.abs(move) === 1 ? (to + options.length) % options.length : Math.max(0, Math.min(options.length - 1, to)));
    } else if (event.key === 'Enter' && !event.isComposing) {
      event.preventDefault();
      // What is typed quickly is answered later than it is entered.
      if (answered === input.value.trim()) enter();
      else entered = true;
    }
  });
  start([]);
  ask();
  return [h('label', { class: 'hush', for: 'picker-input' }, t('picker.label')), input, list, hint, status];
}
