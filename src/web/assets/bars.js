// The best three: names in both languages, synset, score, and a bar from zero.

import { h, setText } from './dom.js';
import { names, percent, t } from './i18n.js';

function row() {
  const parts = {
    first: h('span', { class: 'name' }),
    second: h('span', { class: 'other' }),
    synset: h('span', { class: 'synset' }),
    score: h('span', { class: 'score' }),
    fill: h('span', { class: 'fill' }),
  };
  const line = h('span', { class: 'bar-line' }, h('span', { class: 'bar-names' }, parts.first, parts.second, parts.synset), parts.score);
  parts.li = h('li', { class: 'bar' }, line, h('span', { class: 'track' }, parts.fill));
  return parts;
}

function name(element, text, lang) {
  setText(element, text);
  if (lang) element.setAttribute('lang', lang);
  else element.removeAttribute('lang');
}

function show(parts, best, { synsets }) {
  const { first, firstLang, second, secondLang } = names(best);
  name(parts.first, first, firstLang);
  name(parts.second, second, secondLang);
  setText(parts.synset, synsets && best.id ? best.id : '');
  setText(parts.score, percent(best.score));
  parts.li.dataset.class = best.class;
  parts.li.dataset.score = best.score;
  parts.li.title = second ? `${first} · ${second}` : first;
  parts.fill.style.setProperty('--share', best.score);
}

/** A list that is patched in place. */
export function bars(options = {}) {
  const list = h('ol', { class: `bars ${options.synsets ? 'with-synsets' : ''} ${options.class ?? ''}`, 'aria-label': t('bars') });
  const rows = [];
  const patch = (result) => {
    const best = result.top3 ?? [];
    while (rows.length < best.length) { rows.push(row()); list.append(rows.at(-1).li); }
    while (rows.length > best.length) rows.pop().li.remove();
    best.forEach((of, index) => show(rows[index], of, options));
    list.classList.toggle('unknown', Boolean(result.unknown));
  };
  return { element: list, patch };
}

/** The mark of a result that is none. */
export const unknownBadge = () => h('span', { class: 'badge warn', title: t('unknown.why') }, t('unknown'));

/** A class's names in a line. */
export function label(of) {
  const { first, firstLang, second, secondLang } = names(of);
  return h('span', { class: 'label' }, h('span', { lang: firstLang }, first), second && ' ', second && h('span', { class: 'other', lang: secondLang }, second));
}
