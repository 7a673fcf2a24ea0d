// Dialogs: the browser's own, which keep the focus and give it back.

import { button, h } from './dom.js';
import { t } from './i18n.js';

/** Opens a dialog. `build` gets a function that closes it with a result, and gives what is inside; the first heading names it. */
export function open(id, title, build, { className = '', must = false } = {}) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    let result = null;
    const dialog = h('dialog', { id, class: className || null, 'aria-labelledby': `${id}-title` });
    const close = (of) => { result = of; dialog.close(); };
    const head = h('div', { class: 'dialog-head' }, h('h2', { id: `${id}-title` }, title),
      !must && button('', () => close(null), { name: 'close', plain: true, class: 'square', 'aria-label': t('close') }));
    dialog.append(head);
    dialog.append(...[build(close, dialog)].flat().filter(Boolean));
    dialog.addEventListener('cancel', (event) => { if (must) event.preventDefault(); });
    dialog.addEventListener('pointerdown', (event) => {
      if (must || event.target !== dialog) return;
      const { left, right, top, bottom } = dialog.getBoundingClientRect();
      const { clientX: x, clientY: y } = event;
      if (x < left || x > right || y < top || y > bottom) close(null);
    });
    dialog.addEventListener('close', () => {
      dialog.remove();
      if (before?.isConnected) before.focus({ preventScroll: true });
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector('[data-first]')?.focus();
  });
}

/** Asks whether it is meant. */
export function confirm({ title, text, yes, danger = false }) {
  return open('confirm', title, (close) => [
    h('p', null, text),
    h('div', { class: 'dialog-foot' },
      button(t('cancel'), () => close(false), { id: 'confirm-no', 'data-first': true }),
      button(yes, () => close(true), { id: 'confirm-yes', primary: !danger, danger })),
  ]).then(Boolean);
}
