// What people say of a frame, and how they take it back.

import { api } from './api.js';

const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, '0')).join('');

const base64 = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(',') + 1));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

/** The statement in the node's words: a class by its number, for two classes may have one name. */
const statement = ({ correct, label, class: of }) =>
  correct ? { verdict: 'correct' } : of === null || of === undefined ? { label } : { class: of };

/**
 * Says what a frame shows: `{ correct: true }`, or a class with `label` and, if it has one, `class`. If the frame is no longer held, and
 * its `file` is here, it is sent along; "correct" then means what `top` is.
 */
export async function say(frame, choice, { file, model, camera, top } = {}) {
  const id = newId();
  const send = (json) => api('/api/feedback', { method: 'POST', json: { frame, id, ...json } });
  try {
    return await send(statement(choice));
  } catch (error) {
    const gone = error.status === 404 || error.status === 410 || /\bheld\b/.test(error.detail ?? '');
    if (!file || !gone) throw error;
    const meant = choice.correct && top ? { label: top.label, class: top.class } : choice;
    return send({ ...statement(meant), image: await base64(file), ...(model && { model }), ...(camera && { camera }) });
  }
}

/** Takes a statement back. */
export const unsay = (feedback) => api(`/api/feedback/${encodeURIComponent(feedback)}`, { method: 'DELETE' });

/** Does something for each, a few at once; tells how far it is. Gives the results, and what went wrong. */
export async function each(items, act, progress = () => {}) {
  const results = [];
  const errors = [];
  let next = 0;
  const work = async () => {
    while (next < items.length) {
      const item = items[next];
      next += 1;
      try { results.push({ item, result: await act(item) }); } catch (error) { errors.push({ item, error }); }
      progress(results.length + errors.length, items.length);
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, items.length) }, work));
  return { results, errors };
}
