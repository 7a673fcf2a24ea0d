// Copies a text, also where the page is not secure and the clipboard is out of reach.

import { h, setText } from './dom.js';
import { t } from './i18n.js';

/** Copies, and says so on the button that was pressed, for a notice would be behind a dialog. */
export async function copyText(text, from) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    const area = h('textarea', { value: text, class: 'hush', 'aria-hidden': 'true', tabindex: '-1' });
    (from.closest('dialog') ?? document.body).append(area);
    area.select();
    done = document.execCommand('copy');
    area.remove();
    from.focus();
  }
  const words = from.querySelector('span');
  setText(words, t(done ? 'copied' : 'copied.not'));
  setTimeout(() => setText(words, t('copy')), 2500);
}
