// The queue: frames that were kept, for people who say what they show.

import { aborted, api, explain, path } from './api.js';
import { add, button, debounce, field, h, icon, select, setText } from './dom.js';
import { grid, viewer } from './frames.js';
import { names, t } from './i18n.js';
import { needs } from './needs.js';
import { each, say, unsay } from './say.js';
import { alarm, announce, complain, toast } from './toast.js';

const FILTERS = ['state', 'camera', 'label', 'model', 'margin', 'since', 'until'];
const PAGE = 60;

/** A day in the node's words: its beginning here, or, `after` it, that of the next. */
function day(text, after = 0) {
  const [year, month, date] = (text || '').split('-').map(Number);
  return date ? new Date(year, month - 1, date + after).toISOString() : null;
}

export async function mount(root, { query, signal }) {
  let records = [];
  let next = null;
  let loading = null;
  let busy = false;
  const control = filters();
  const frames = grid({ changed: () => queueMicrotask(selection), opened: (record) => viewer(record, { takeBack }) });
  const none = h('div', { class: 'empty-state', hidden: true });
  const more = button(t('review.more'), () => load(true), { id: 'review-more', hidden: true });
  const progress = h('p', { class: 'bar-progress muted', role: 'status' });
  const alike = h('input', { type: 'checkbox', id: 'review-alike', checked: true, onchange: () => selection() });
  const alikeText = h('span', null, t('review.also'));
  const count = h('strong', { class: 'bar-count' });
  const acts = {
    label: button(t('review.set'), setLabel, { name: 'tag', id: 'review-set-label', primary: true }),
    confirm: button(t('review.confirm'), confirmAll, { name: 'check', id: 'review-confirm' }),
    remove: button(t('review.delete'), removeAll, { name: 'trash', id: 'review-delete' }),
  };
  const everything = button(t('review.all'), () => frames.selectAll(frames.chosen(false).records.length < frames.shown), { plain: true, id: 'review-all' });
  const bar = h('div', { class: 'select-bar', role: 'group', 'aria-label': t('review.selected') },
    count, everything, h('span', { class: 'bar-acts' }, acts.label, acts.confirm, acts.remove),
    h('label', { class: 'check' }, alike, alikeText), progress);
  const panel = h('section', { class: 'card needs', 'aria-labelledby': 'needs-title' }, h('h2', { id: 'needs-title' }, t('needs.title')));
  root.append(
    h('div', { class: 'view-head' }, h('h1', null, t('review.title'))),
    control.element,
    h('div', { class: 'review-grid' },
      h('div', { class: 'review-main' }, bar, frames.element, none, h('div', { class: 'more' }, more), h('p', { class: 'muted small keys' }, t('review.keys'))),
      panel));

  function filters() {
    const values = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? '']));
    const later = debounce(apply, 400);
    const text = (name, props) => h('input', { id: `review-${name}`, value: values[name], oninput: later, onchange: apply, ...props });
    const labels = h('datalist', { id: 'review-labels' });
    // The node looks for the English name.
    const meant = new Map();
    const suggest = debounce(async () => {
      const found = await api(path('/api/labels', { q: inputs.label.value.trim(), model: inputs.model.value, limit: 8 }), { signal }).catch(() => ({ labels: [] }));
      for (const of of found.labels) if (of.label_zh) meant.set(of.label_zh, of.label);
      labels.replaceChildren(...found.labels.map((of) => h('option', { value: names(of).first })));
    }, 200);
    const cameras = h('datalist', { id: 'review-cameras' });
    const inputs = {
      state: select(['unlabelled', 'labelled', 'all'].map((of) => [of, t(`review.state.${of}`)]), values.state || 'unlabelled', { id: 'review-state', onchange: apply }),
      camera: text('camera', { type: 'text', list: 'review-cameras', placeholder: t('any'), autocomplete: 'off' }),
      label: text('label', { type: 'text', list: 'review-labels', placeholder: t('any'), autocomplete: 'off' }),
      model: select([['', t('any')], ...(values.model ? [[values.model, values.model]] : [])], values.model, { id: 'review-model', onchange: apply }),
      margin: text('margin', { type: 'number', min: '0', max: '1', step: '0.01', placeholder: '0.1', inputmode: 'decimal' }),
      since: text('since', { type: 'date' }),
      until: text('until', { type: 'date' }),
    };
    inputs.label.addEventListener('input', suggest);
    let last = JSON.stringify(read());
    function read() {
      return Object.fromEntries(FILTERS.map((name) => [name, inputs[name].value.trim()]));
    }
    function apply() {
      const now = JSON.stringify(read());
      if (now === last || signal.aborted) return;
      const model = JSON.parse(last).model !== inputs.model.value;
      last = now;
      history.replaceState(null, '', path('#/review', { ...read(), state: inputs.state.value === 'unlabelled' ? '' : inputs.state.value }));
      load();
      if (model) panelAgain();
    }
    const summary = h('summary', null, icon('down'), t('review.filters'));
    const element = h('details', { class: 'filters', open: matchMedia('(min-width: 700px)').matches }, summary,
      h('form', { onsubmit: (event) => { event.preventDefault(); apply(); } },
        FILTERS.map((name) => field(t(`review.${name}`), inputs[name])),
        button(t('review.reset'), () => { for (const name of FILTERS) inputs[name].value = name === 'state' ? 'unlabelled' : ''; apply(); }, { plain: true }),
        labels, cameras));
    const wanted = () => ({ ...read(), label: meant.get(read().label) ?? read().label });
    return { element, read: wanted, inputs, cameras };
  }

  async function load(on = false) {
    loading?.abort();
    loading = new AbortController();
    const { signal: mine } = loading;
    const { state, camera, label, model, margin, since, until } = control.read();
    more.disabled = true;
    try {
      const page = await api(path('/api/frames', {
        state: state || 'unlabelled', camera, label, model, margin_below: margin, since: day(since), until: day(until, 1),
        before: on ? next : null, limit: PAGE,
      }), { signal: mine });
      const before = frames.shown;
      records = on ? [...records, ...page.frames] : page.frames;
      ({ next } = page);
      frames.set(records);
      const filtered = FILTERS.some((name) => name !== 'state' && control.read()[name]);
      empty(filtered ? 'review.none.filtered' : `review.none.${state || 'unlabelled'}`);
      announce(t('review.shown', { n: frames.shown }));
      if (on) frames.element.children[before]?.querySelector('input')?.focus();
    } catch (error) {
      if (aborted(error)) return;
      const { words, detail } = explain(error);
      none.replaceChildren(h('div', { class: 'note bad' }, h('p', null, words), detail && h('p', { lang: 'en', class: 'small' }, detail), button(t('again'), () => load(on))));
      none.hidden = false;
      alarm(words);
    } finally {
      more.disabled = false;
      more.hidden = !next;
    }
  }

  function empty(key) {
    none.hidden = records.length > 0;
    none.replaceChildren(icon('check'), h('h2', null, t(`${key}`)), h('p', { class: 'muted' }, t(`${key}.text`)));
    panelHint(none, key);
  }

  /** Nothing waits, perhaps because nothing is collected. */
  function panelHint(box, key) {
    if (key === 'review.none.unlabelled') add(box, h('pre', null, h('code', null, '[store]\ncollect = true')));
  }

  function selection() {
    const { records: chosen, more: others } = frames.chosen(alike.checked);
    setText(count, t('review.count', { n: chosen.length }));
    setText(alikeText, others ? t('review.also.n', { n: others }) : t('review.also'));
    const all = frames.shown > 0 && frames.chosen(false).records.length >= frames.shown;
    setText(everything.querySelector('span'), t(all ? 'review.allnot' : 'review.all'));
    everything.disabled = !frames.shown;
    acts.label.disabled = busy || !chosen.length;
    acts.remove.disabled = busy || !chosen.length;
    acts.confirm.disabled = busy || !chosen.some(({ top3 }) => top3.length);
    bar.classList.toggle('some', chosen.length > 0);
  }

  /** Does something to many, shows how far it is, and how to take it back. */
  async function many(chosen, act, done, back) {
    busy = true;
    selection();
    const { results, errors } = await each(chosen, act, (n, of) => setText(progress, t('review.progress', { n, of })));
    busy = false;
    setText(progress, '');
    if (results.length) done(results);
    redraw();
    if (errors.length) complain(errors[0].error);
    else toast(back.text(results.length), { back: back.undo && (() => back.undo(results)) });
    panelAgain();
  }

  function redraw() {
    const had = frames.element.contains(document.activeElement) || bar.contains(document.activeElement) || document.activeElement === document.body;
    const { state } = control.read();
    const fits = (record) => !record.gone && (state === 'all' || (state === 'labelled') === Boolean(record.said));
    frames.set(records.filter(fits));
    none.hidden = frames.shown > 0;
    if (!frames.shown && !none.firstChild) empty('review.none.unlabelled');
    if (had) frames.focus();
  }

  async function state(chosen, choice, text) {
    const was = new Map(chosen.map((record) => [record.frame, record.said]));
    await many(chosen, (record) => say(record.frame, choice, { model: record.model.name }), (results) => {
      for (const { item, result } of results) {
        const label = choice.correct ? item.top3[0] : choice;
        item.said = { feedback: result.feedback, label: label.label, label_zh: label.label_zh, class: label.class ?? null, by: null, at: new Date().toISOString() };
      }
      frames.selectAll(false);
    }, { text, undo: async (results) => {
      const { errors } = await each(results, ({ result }) => unsay(result.feedback));
      for (const { item } of results) item.said = was.get(item.frame);
      redraw();
      panelAgain();
      if (errors.length) throw errors[0].error;
    } });
  }

  async function setLabel() {
    const { records: chosen } = frames.chosen(alike.checked);
    if (!chosen.length) return;
    const { pick } = await import('./labelpicker.js');
    const suggest = [];
    for (const { top3 } of chosen) for (const of of top3) if (suggest.length < 5 && !suggest.some((one) => one.class === of.class)) suggest.push(of);
    const choice = await pick({ title: t('picker.many', { n: chosen.length }), model: chosen[0].model.name, suggest });
    if (choice) await state(chosen, choice, (n) => t('review.labelled', { n, label: names(choice).first }));
  }

  async function confirmAll() {
    const chosen = frames.chosen(alike.checked).records.filter(({ top3 }) => top3.length);
    await state(chosen, { correct: true }, (n) => t('review.confirmed', { n }));
  }

  async function removeAll() {
    const { records: chosen } = frames.chosen(alike.checked);
    const { confirm } = await import('./dialog.js');
    const sure = await confirm({ title: t('review.delete.title', { n: chosen.length }), text: t('review.delete.text'), yes: t('review.delete'), danger: true });
    if (!sure) return;
    await many(chosen, (record) => api(`/api/frames/${record.frame}`, { method: 'DELETE' }), (results) => {
      for (const { item } of results) item.gone = true;
      records = records.filter(({ gone }) => !gone);
    }, { text: (n) => t('review.deleted', { n }) });
  }

  async function takeBack(record) {
    try {
      await unsay(record.said.feedback);
      record.said = null;
      redraw();
      toast(t('undone'));
      panelAgain();
    } catch (error) {
      complain(error);
    }
  }

  function panelAgain() {
    needs(panel, control.inputs.model.value, signal).catch((error) => {
      if (!aborted(error)) panel.replaceChildren(h('h2', { id: 'needs-title' }, t('needs.title')), h('p', { class: 'muted' }, explain(error).words));
    });
  }

  document.addEventListener('keydown', (event) => {
    if (event.target.closest?.('input:not([type=checkbox]), select, textarea, dialog') || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'a') { event.preventDefault(); frames.selectAll(true); }
    if (event.key === 'Escape') frames.selectAll(false);
  }, { signal });
  signal.addEventListener('abort', () => loading?.abort());

  selection();
  panelAgain();
  api('/api/cameras', { signal }).then(({ cameras }) => control.cameras.replaceChildren(...cameras.map(({ camera }) => h('option', { value: camera }))), () => null);
  api('/api/models', { signal }).then(({ models }) => {
    const { model } = control.inputs;
    for (const { name } of models) if (![...model.options].some(({ value }) => value === name)) model.append(h('option', { value: name }, name));
  }, () => null);
  await load();
}
