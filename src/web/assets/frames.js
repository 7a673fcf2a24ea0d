// A grid of frames: those that look alike behind the newest of them, and any number of them selected.

import { bars, label as classLabel } from './bars.js';
import { button, h, icon, setText } from './dom.js';
import { names, number, percent, t, when, word } from './i18n.js';

/** A grid. `changed` is called when the selection changes, `opened` with the record of a frame that is to be seen large. */
export function grid({ changed, opened }) {
  const element = h('ul', { class: 'frames', id: 'review-frames', 'aria-label': t('review.frames') });
  const cards = new Map();
  const open = new Set();
  let records = [];
  let selected = new Set();
  let anchor = null;
  let current = null;

  /** The newest of those alike, with the others; in the order of the newest. */
  function groups() {
    const by = new Map(records.map((record) => [record.frame, record]));
    const root = (record) => {
      let at = record;
      for (let step = 0; at.alike && step < 100; step += 1) {
        const next = by.get(at.alike.frame);
        if (!next) return at.alike.frame;
        at = next;
      }
      return at.frame;
    };
    const found = new Map();
    for (const record of records) {
      const key = root(record);
      if (found.has(key)) found.get(key).push(record);
      else found.set(key, [record]);
    }
    return [...found.values()];
  }

  const all = () => groups().flatMap((group) => (open.has(group[0].frame) ? group : [group[0]]));

  function render() {
    const shown = [];
    for (const [head, ...others] of groups()) {
      const wide = open.has(head.frame) && others.length > 0;
      shown.push(card(head).show(head, others, wide));
      if (wide) for (const other of others) shown.push(card(other).show(other, [], false, head));
    }
    if (shown.length !== element.children.length || shown.some((li, index) => element.children[index] !== li)) element.replaceChildren(...shown);
    const visible = new Set(shown.map((li) => li.dataset.frame));
    selected = new Set([...selected].filter((id) => visible.has(id)));
    if (!visible.has(current)) current = shown[0]?.dataset.frame ?? null;
    for (const id of visible) cards.get(id).mark(selected.has(id), id === current);
    changed();
  }

  function card(record) {
    if (!cards.has(record.frame)) cards.set(record.frame, makeCard(record.frame, { toggle, spread, opened, become }));
    return cards.get(record.frame);
  }

  function become(id) {
    if (current === id) return;
    cards.get(current)?.mark(selected.has(current), false);
    current = id;
    cards.get(id)?.mark(selected.has(id), true);
  }

  function toggle(id, on, range) {
    const order = all().map(({ frame }) => frame);
    const from = range && anchor !== null ? order.indexOf(anchor) : -1;
    if (from >= 0) {
      const to = order.indexOf(id);
      for (const of of order.slice(Math.min(from, to), Math.max(from, to) + 1)) on ? selected.add(of) : selected.delete(of);
    } else {
      on ? selected.add(id) : selected.delete(id);
      anchor = id;
    }
    become(id);
    for (const of of order) cards.get(of).mark(selected.has(of), of === current);
    changed();
  }

  function spread(id) {
    if (open.has(id)) open.delete(id);
    else open.add(id);
    render();
  }

  function selectAll(on) {
    selected = on ? new Set(all().map(({ frame }) => frame)) : new Set();
    for (const { frame } of all()) cards.get(frame).mark(selected.has(frame), frame === current);
    changed();
  }

  /** The one beside, above or below. */
  function beside(key) {
    const list = [...element.children];
    const at = list.findIndex((li) => li.dataset.frame === current);
    if (key === 'Home') return list[0];
    if (key === 'End') return list.at(-1);
    if (key === 'ArrowLeft') return list[at - 1];
    if (key === 'ArrowRight') return list[at + 1];
    const { offsetTop: top, offsetLeft: left } = list[at];
    const rows = key === 'ArrowDown' ? list.slice(at + 1).filter((li) => li.offsetTop > top) : list.slice(0, at).reverse().filter((li) => li.offsetTop < top);
    const row = rows.filter((li) => li.offsetTop === rows[0].offsetTop);
    return row.sort((a, b) => Math.abs(a.offsetLeft - left) - Math.abs(b.offsetLeft - left))[0];
  }

  element.addEventListener('keydown', (event) => {
    if (!['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End'].includes(event.key) || event.ctrlKey || event.altKey) return;
    const next = beside(event.key);
    event.preventDefault();
    if (!next) return;
    if (event.shiftKey) { anchor ??= current; toggle(next.dataset.frame, true, true); }
    become(next.dataset.frame);
    cards.get(current).focus();
  });

  return {
    element,
    /** Shows these, in this order. */
    set(next) { records = next; render(); },
    /** Draws what has changed in its records. */
    refresh: render,
    selectAll,
    focus: () => cards.get(current)?.focus(),
    get shown() { return element.children.length; },
    /** The records that are selected, and how many more are alike. */
    chosen(alike) {
      const heads = [];
      const more = [];
      for (const group of groups()) {
        const [head, ...others] = group;
        const picked = group.filter(({ frame }) => selected.has(frame));
        heads.push(...picked);
        if (selected.has(head.frame)) more.push(...others.filter(({ frame }) => !selected.has(frame)));
      }
      return { records: alike ? [...heads, ...more] : heads, more: more.length };
    },
  };
}

function makeCard(id, { toggle, spread, opened, become }) {
  let record = null;
  const check = h('input', { type: 'checkbox', tabindex: '-1' });
  const picture = h('img', { src: `/api/frames/${id}.jpg?small=true`, alt: '', loading: 'lazy', decoding: 'async', onerror: () => {
    picture.replaceWith(h('span', { class: 'no-preview' }, t('review.nopicture')));
  } });
  const seen = h('p', { class: 'frame-seen' });
  const said = h('p', { class: 'frame-said' });
  const reason = h('span', { class: 'badge' });
  const margin = h('span', { class: 'margin' });
  const about = h('p', { class: 'frame-about' });
  const more = button(' ', () => spread(id), { name: 'stack', class: 'alike', tabindex: '-1', hidden: true });
  const like = h('p', { class: 'frame-like muted small', hidden: true });
  const large = button('', () => opened(record), { name: 'large', class: 'square look', tabindex: '-1' });
  const pick = h('label', { class: 'pick' }, check, h('span', { class: 'matte' }, picture));
  const element = h('li', { class: 'frame', data: { frame: id } }, h('div', { class: 'frame-picture' }, pick, large),
    h('div', { class: 'frame-text' }, seen, said, h('p', { class: 'frame-why' }, reason, margin), about, more, like));

  check.addEventListener('click', (event) => toggle(id, check.checked, event.shiftKey));
  check.addEventListener('keydown', (event) => { if (event.key === 'Enter') { event.preventDefault(); opened(record); } });
  pick.addEventListener('click', (event) => {
    // The browser passes the click on to the box, but not that Shift was held.
    if (event.target === check || !event.shiftKey) return;
    event.preventDefault();
    toggle(id, !check.checked, true);
    check.focus();
  });
  element.addEventListener('focusin', () => become(id));

  return {
    element,
    focus: () => check.focus(),
    mark(on, is) {
      check.checked = on;
      element.classList.toggle('selected', on);
      for (const control of [check, large, more]) control.tabIndex = is ? 0 : -1;
    },
    show(next, others, wide, head) {
      record = next;
      const { top3, camera, at, said: says } = record;
      const [best] = top3;
      const title = best ? names(best).first : t('review.nothing');
      seen.replaceChildren(...(best ? [classLabel(best), h('span', { class: 'score' }, percent(best.score))] : [h('span', { class: 'muted' }, title)]));
      seen.title = best ? [title, names(best).second].filter(Boolean).join(' · ') : '';
      said.replaceChildren(...(says ? [icon('tag'), classLabel(says)] : []));
      said.hidden = !says;
      setText(reason, record.reason ? word('reason', record.reason) : t('reason.none'));
      reason.title = record.reason ? word('reason.why', record.reason) : '';
      reason.className = `badge ${record.reason === 'unknown' ? 'warn' : ''}`;
      setText(margin, record.margin === null || record.margin === undefined ? '' : t('review.marginof', { n: number(record.margin, 3) }));
      setText(about, [camera ?? t('review.nocamera'), when(at)].join(' · '));
      check.setAttribute('aria-label', [title, best && percent(best.score), says && t('review.issaid', { label: names(says).first }), camera, when(at)].filter(Boolean).join(', '));
      large.setAttribute('aria-label', t('review.large', { label: title }));
      more.hidden = !others.length;
      setText(more.querySelector('span'), t(wide ? 'review.alike.hide' : 'review.alike', { n: others.length }));
      more.setAttribute('aria-expanded', String(wide));
      const bits = Math.max(0, ...others.map(({ alike }) => alike?.bits ?? 0));
      like.hidden = !head && !others.length;
      if (head) setText(like, record.alike ? t('review.bits', { n: record.alike.bits }) : '');
      else setText(like, t('review.bits.most', { n: bits }));
      element.classList.toggle('group', others.length > 0);
      element.classList.toggle('of-group', Boolean(head));
      return element;
    },
  };
}

/** A frame, large, with all that is known of it. */
export async function viewer(record, { takeBack }) {
  const { open } = await import('./dialog.js');
  const best = bars();
  best.patch(record);
  const facts = [
    [t('review.camera'), record.camera ?? t('review.nocamera')], [t('review.at'), when(record.at)],
    [t('model'), `${record.model.name} ${record.model.version}`],
    [t('review.why'), record.reason ? word('reason.why', record.reason) : t('reason.none')],
    [t('review.frame'), h('code', null, record.frame)],
  ];
  const says = record.said;
  return open('viewer', names(record.top3[0] ?? { label: t('review.nothing') }).first, (close) => [
    h('div', { class: 'viewer' },
      h('div', { class: 'matte' }, h('img', { src: `/api/frames/${record.frame}.jpg`, alt: t('review.picture', { camera: record.camera ?? '' }) })),
      h('div', { class: 'viewer-text' }, best.element,
        says && h('p', { class: 'said' }, icon('tag'), h('span', null, t('review.said', { label: names(says).first, when: when(says.at) }), says.by ? ` (${says.by})` : '')),
        says && button(t('review.takeback'), () => { takeBack(record); close(null); }),
        h('dl', { class: 'facts' }, facts.map(([name, value]) => h('div', null, h('dt', null, name), h('dd', null, value)))))),
  ], { className: 'broad' });
}
