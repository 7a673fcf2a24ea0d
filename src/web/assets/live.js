// One stream of events for all that is live; it rests while nobody looks.

import { api } from './api.js';

const listeners = new Set();
let source = null;
let state = 'closed';
let again = null;
let wait = 1000;

function say(next) {
  state = next;
  for (const { state: listen } of listeners) listen?.(next);
}

function stop() {
  clearTimeout(again);
  source?.close();
  source = null;
}

function connect() {
  if (source || !listeners.size || document.hidden) return;
  say('connecting');
  source = new EventSource('/api/live');
  source.addEventListener('open', () => { wait = 1000; say('live'); });
  source.addEventListener('message', ({ data }) => {
    const result = JSON.parse(data);
    for (const { result: listen } of listeners) listen?.(result);
  });
  source.addEventListener('retrain', ({ data }) => {
    const retrain = JSON.parse(data);
    dispatchEvent(new CustomEvent('glanced-retrain', { detail: retrain }));
    for (const { retrain: listen } of listeners) listen?.(retrain);
  });
  source.addEventListener('error', async () => {
    say('reconnecting');
    if (source?.readyState !== EventSource.CLOSED) return;
    // The browser has given up: refused, or the session is over. Asking for it logs in if need be.
    stop();
    const known = await api('/api/session', { anonymous: true }).catch(() => null);
    if (known?.login && !known.in) await api('/api/retrain').catch(() => null);
    again = setTimeout(connect, wait);
    wait = Math.min(wait * 2, 15_000);
  });
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) connect();
  else if (source) { stop(); say('resting'); }
});

/** Listens to `{ result, retrain, state }` until the signal says no. */
export function listen(handlers, signal) {
  listeners.add(handlers);
  handlers.state?.(state);
  if (source && handlers.retrain) api('/api/retrain', { signal }).then(handlers.retrain, () => null);
  connect();
  signal.addEventListener('abort', () => {
    listeners.delete(handlers);
    // The next view may want it too.
    setTimeout(() => { if (!listeners.size) { stop(); state = 'closed'; } }, 500);
  });
}
