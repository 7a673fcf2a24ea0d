// Teaching a model: begin, watch, cancel, and what came of the last time.

import { api, explained } from './api.js';
import { button, field, h, setText } from './dom.js';
import { label } from './bars.js';
import { number, span, t, when } from './i18n.js';
import { listen } from './live.js';
import { alarm, announce } from './toast.js';

/** The panel. `finished` is called when a training has ended. */
export function retrainPanel({ signal, finished }) {
  let state = null;
  let offset = 0;
  const choice = h('select', { id: 'retrain-model' });
  const chooser = field(t('model'), choice, { class: 'field inline', hidden: true });
  const promote = h('input', { type: 'checkbox', id: 'retrain-promote', checked: true });
  const begin = button(t('retrain'), start, { name: 'learn', primary: true, id: 'retrain-start' });
  const cancel = button(t('cancel'), stop, { id: 'retrain-cancel', hidden: true });
  const bar = h('progress', { id: 'retrain-progress', max: 1, 'aria-label': t('retrain.progress') });
  const step = h('p', { class: 'retrain-step' });
  const progress = h('div', { class: 'retrain-run', hidden: true }, step, bar);
  const error = h('p', { class: 'form-error', role: 'alert' });
  const last = h('div', { class: 'retrain-last' });
  const element = h('section', { class: 'card retrain', 'aria-labelledby': 'retrain-title' },
    h('div', { class: 'retrain-head' },
      h('div', null, h('h2', { id: 'retrain-title' }, t('retrain.title')), h('p', { class: 'muted small' }, t('retrain.text'))),
      h('div', { class: 'retrain-acts' }, chooser, h('label', { class: 'check' }, promote, h('span', null, t('retrain.promote'))), begin, cancel)),
    progress, error, last);

  async function start() {
    setText(error, '');
    begin.disabled = true;
    try {
      show(await api('/api/retrain', { method: 'POST', json: { ...(choice.value && { model: choice.value }), promote: promote.checked } }));
    } catch (problem) {
      setText(error, explained(problem));
      begin.disabled = false;
    }
  }

  async function stop() {
    cancel.disabled = true;
    try { show(await api('/api/retrain', { method: 'DELETE' })); } catch (problem) { setText(error, explained(problem)); }
    cancel.disabled = false;
  }

  function show(next) {
    if (!next || signal.aborted) return;
    const was = state?.running;
    state = next;
    const { running } = next;
    const focused = document.activeElement;
    progress.hidden = !running;
    begin.hidden = Boolean(running);
    begin.disabled = Boolean(running);
    cancel.hidden = !running;
    if (running && focused === begin) cancel.focus();
    if (!running && focused === cancel) begin.focus();
    if (running) {
      const { done, of } = running;
      // Looking comes first, teaching second: each has half of the bar.
      const part = of > 0 ? Math.min(1, done / of) : 0;
      if (running.step) bar.value = (running.step === 'teach' ? 0.5 : 0) + part / 2;
      else bar.removeAttribute('value');
      if (running.step !== was?.step) announce(stepText(running));
      if (!was) offset = Date.parse(running.since) || Date.now();
      tick();
    }
    drawLast(next.last, was && !running);
    if (was && !running) finished();
  }

  function tick() {
    if (!state?.running) return;
    setText(step, `${stepText(state.running)} · ${span((Date.now() - offset) / 1000)}`);
  }

  const stepText = ({ step: name, done, of, model }) => (name
    ? t(`retrain.step.${name}`, { model, done, of }) : t('retrain.step.start', { model }));

  function drawLast(of, fresh) {
    if (!of) { last.replaceChildren(h('p', { class: 'muted small', id: 'retrain-verdict', data: { verdict: '' } }, t('retrain.never'))); return; }
    const key = JSON.stringify([of.model, of.at, of.error]);
    if (last.dataset.key === key) return;
    last.dataset.key = key;
    const { report } = of;
    const cancelled = /cancel/i.test(of.error ?? '');
    const text = cancelled ? t('retrain.cancelled') : of.error ? t('retrain.error') : report ? t(`verdict.${report.verdict}${report.promoted ? '.done' : ''}`) : t('retrain.error');
    const kind = cancelled ? '' : of.error ? 'bad' : { promote: 'good', keep: '', reject: 'warn', too_little: '' }[report?.verdict] ?? '';
    const lacking = (report?.classes ?? []).filter(({ n, needed }) => n < needed);
    last.replaceChildren(h('div', { class: `note ${kind}` },
      h('p', { class: 'retrain-when muted small' }, t('retrain.last', { model: of.model, when: when(of.at) })),
      h('p', { id: 'retrain-verdict', data: { verdict: of.error ? 'error' : report?.verdict ?? '' } }, h('strong', null, text)),
      !cancelled && h('p', { class: 'small', lang: 'en' }, of.error ?? report?.reason),
      report?.verdict === 'too_little' && lacking.length > 0 && [
        h('p', { class: 'small' }, t('retrain.lacking')),
        h('ul', { class: 'lacking-list' }, lacking.slice(0, 24).map((one) => h('li', null, label(one), ' ', h('span', { class: 'muted' }, t('needs.of', { n: one.n, need: one.needed }))))),
        h('p', null, h('a', { href: `#/review?model=${encodeURIComponent(of.model)}` }, t('retrain.review'))),
      ],
      report?.challenger?.version && h('p', null, h('a', { href: `#/models/${encodeURIComponent(of.model)}/${encodeURIComponent(report.challenger.version)}` }, t('retrain.details', { version: report.challenger.version })),
        report.seconds !== undefined && h('span', { class: 'muted small' }, ` · ${t('retrain.seconds', { n: number(report.n_train), span: span(report.seconds) })}`))));
    if (fresh) (of.error ? alarm : announce)(text);
  }

  listen({ retrain: show }, signal);
  api('/api/retrain', { signal }).then(show, (problem) => { if (problem.name !== 'AbortError') setText(error, explained(problem)); });
  const clock = setInterval(tick, 1000);
  signal.addEventListener('abort', () => clearInterval(clock));

  return {
    element,
    models(models, wanted) {
      const before = choice.value;
      const names = [...models].sort((a, b) => Number(b.served) - Number(a.served)).map(({ name }) => name);
      const first = names.includes(wanted) ? wanted : names.includes(before) ? before : names[0];
      choice.replaceChildren(...names.map((name) => h('option', { value: name }, name)));
      choice.value = first ?? '';
      chooser.hidden = names.length < 2;
    },
  };
}
