// A model of one's own, that knows nothing but how to see.

import { api, explain } from './api.js';
import { open } from './dialog.js';
import { button, field, h, select, setText } from './dom.js';
import { t } from './i18n.js';

/** Asks for name, origin and labels; then shows what to put into the configuration. */
export function newModel(models) {
  return open('new-model', t('new.title'), (close, dialog) => {
    const name = h('input', { type: 'text', id: 'new-name', required: true, autocomplete: 'off', spellcheck: 'false', placeholder: 'gate', 'data-first': true, 'aria-describedby': 'new-error' });
    const from = select(models.map((of) => [of.name, of.name]), models.find((of) => of.served)?.name, { id: 'new-from' });
    const labels = h('textarea', { id: 'new-labels', rows: '4', required: true, spellcheck: 'false', placeholder: t('new.labels.example') });
    const error = h('p', { class: 'form-error', id: 'new-error', role: 'alert' });
    const create = button(t('new.create'), null, { type: 'submit', primary: true, id: 'new-create' });
    const form = h('form', { onsubmit: async (event) => {
      event.preventDefault();
      const list = [...new Set(labels.value.split(/[\n,，、;；]+/).map((label) => label.trim()).filter(Boolean))];
      if (list.length < 2) { setText(error, t('new.few')); labels.focus(); return; }
      setText(error, '');
      create.disabled = true;
      try {
        const made = await api('/api/models', { method: 'POST', json: { name: name.value.trim(), from: from.value, labels: list } });
        done(made);
      } catch (problem) {
        const { words, detail } = explain(problem);
        error.replaceChildren(words, ' ', h('span', { lang: 'en' }, detail));
        create.disabled = false;
      }
    } },
    h('p', { class: 'muted' }, t('new.text')),
    field(t('new.name'), name), field(t('new.from'), from), field(t('new.labels'), labels), error,
    h('div', { class: 'dialog-foot' }, button(t('cancel'), () => close(null)), create));

    function done({ name: called, source }) {
      const copy = button(t('copy'), async () => (await import('./copy.js')).copyText(source, copy), { name: 'copy' });
      form.replaceWith(h('div', { class: 'dialog-body' },
        h('p', { role: 'status' }, t('new.done', { name: called })),
        h('div', { class: 'copy tall' }, h('pre', { tabindex: '0' }, h('code', { id: 'new-source' }, source)), copy),
        h('p', { class: 'muted small' }, t('new.then')),
        h('div', { class: 'dialog-foot' }, button(t('done'), () => close(true), { primary: true }))));
      copy.focus();
      dialog.dataset.done = '';
    }
    return form;
  });
}
