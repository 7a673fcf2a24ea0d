// The dialog that asks for the token.

import { api, explained } from './api.js';
import { open } from './dialog.js';
import { button, field, h, setText } from './dom.js';
import { t } from './i18n.js';

/** Asks until the node takes the token. */
export function ask() {
  return open('login', t('login.title'), (close) => {
    const token = h('input', {
      type: 'password', id: 'login-token', autocomplete: 'current-password', required: true, spellcheck: 'false',
      'data-first': true, 'aria-describedby': 'login-error',
    });
    const error = h('p', { class: 'form-error', id: 'login-error', role: 'alert' });
    const submit = button(t('login.submit'), null, { primary: true, id: 'login-submit', type: 'submit' });
    const form = h('form', {
      onsubmit: async (event) => {
        event.preventDefault();
        submit.disabled = true;
        setText(error, '');
        try {
          await api('/api/session', { method: 'POST', json: { token: token.value }, anonymous: true });
          dispatchEvent(new Event('glanced-login'));
          close(true);
        } catch (problem) {
          setText(error, problem.status === 401 ? t('login.wrong') : explained(problem));
          token.setAttribute('aria-invalid', 'true');
          token.select();
        } finally {
          submit.disabled = false;
        }
      },
    },
    h('p', { class: 'muted' }, t('login.text'), ' ', h('code', null, 'http.token_file')),
    h('input', { type: 'text', autocomplete: 'username', value: 'glanced', hidden: true, readonly: true, 'aria-hidden': 'true', tabindex: '-1' }),
    field(t('login.token'), token), error,
    h('div', { class: 'dialog-foot' }, submit));
    return form;
  }, { must: true, className: 'narrow' });
}
