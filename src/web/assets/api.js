// Talking to the node: problems become words, and who is not known logs in and goes on.

import { t } from './i18n.js';

/** Why the node did not do it. */
export class Problem extends Error {
  constructor(status, { detail, title, ...rest } = {}, after) {
    super(detail ?? title ?? '');
    Object.assign(this, { status, detail: detail ?? '', after, rest });
  }
}

let loggingIn = null;
function login() {
  loggingIn ??= import('./login.js').then(({ ask }) => ask()).finally(() => { loggingIn = null; });
  return loggingIn;
}

/** Asks the node. Gives what it answers, `null` for nothing; throws a [`Problem`]. */
export async function api(path, options = {}) {
  const { method = 'GET', json, body, type, signal, anonymous } = options;
  const headers = { Accept: 'application/json' };
  if (json !== undefined) headers['Content-Type'] = 'application/json';
  if (type) headers['Content-Type'] = type;
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: json === undefined ? body : JSON.stringify(json) });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0);
  }
  if (response.status === 401 && !anonymous) {
    await login();
    return api(path, options);
  }
  if (response.ok) return response.status === 204 ? null : response.json().catch(() => null);
  const problem = await response.json().catch(() => ({}));
  throw new Problem(response.status, problem, Number(response.headers.get('Retry-After')) || null);
}

/** A path with those of the parameters that say something. */
export function path(base, params = {}) {
  const said = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false);
  return said.length ? `${base}?${new URLSearchParams(said)}` : base;
}

/** Whether it only means that nobody waits any more. */
export const aborted = (error) => error?.name === 'AbortError';

/** A problem in words of the page's language, and the node's own words, in English, beside them. */
export function explain(error) {
  if (!(error instanceof Problem)) return { words: t('problem.page'), detail: String(error?.message ?? error) };
  const { status, after, detail } = error;
  if (status === 429) return { words: t('problem.429', { n: after ?? 1 }), detail: '' };
  const known = [0, 401, 403, 404, 408, 409, 413, 415, 422, 503, 507].includes(status);
  return { words: known ? t(`problem.${status}`) : t('problem.other', { status: String(status) }), detail };
}

/** In one line, for a notice. */
export function explained(error) {
  const { words, detail } = explain(error);
  return detail ? `${words} ${detail}` : words;
}
