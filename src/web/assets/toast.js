// Short notices, with a way back: one at a time, ten seconds, longer while they are looked at.

import { explained } from './api.js';
import { setText } from './dom.js';
import { t } from './i18n.js';

const box = document.getElementById('toast');
const undoButton = document.getElementById('toast-undo');
const SECONDS = 10;
let timer = null;
let undo = null;

/** Says something to those who listen. */
export function announce(text) {
  const region = document.getElementById('announce');
  region.textContent = '';
  setTimeout(() => { region.textContent = text; }, 50);
}

/** The same, at once. */
export function alarm(text) {
  const region = document.getElementById('alert');
  region.textContent = '';
  setTimeout(() => { region.textContent = text; }, 50);
}

function hide() {
  clearTimeout(timer);
  const had = box.contains(document.activeElement);
  box.hidden = true;
  undo = null;
  if (had) document.getElementById('main').focus({ preventScroll: true });
}

function wait() {
  clearTimeout(timer);
  timer = setTimeout(hide, SECONDS * 1000);
}

/** Shows a notice. `back` takes back what it tells of. */
export function toast(text, { back = null, bad = false } = {}) {
  setText(document.getElementById('toast-text'), text);
  setText(undoButton, t('undo'));
  undoButton.hidden = !back;
  box.classList.toggle('bad', bad);
  box.hidden = false;
  undo = back;
  (bad ? alarm : announce)(back ? `${text} ${t('undo.hint')}` : text);
  wait();
}

/** A problem as a notice. */
export const complain = (error) => toast(explained(error), { bad: true });

/** Takes back what the notice tells of, if it still does. */
export async function undoNow() {
  const back = undo;
  if (!back || box.hidden) return;
  hide();
  try {
    await back();
    toast(t('undone'));
  } catch (error) {
    complain(error);
  }
}

undoButton.addEventListener('click', undoNow);
document.getElementById('toast-close').addEventListener('click', hide);
box.addEventListener('mouseenter', () => clearTimeout(timer));
box.addEventListener('mouseleave', wait);
box.addEventListener('focusin', () => clearTimeout(timer));
box.addEventListener('focusout', wait);
