// Diagrams in SVG, each with its numbers in words or in a table.

import { button, h, s, setText, table } from './dom.js';
import { number, percent, t } from './i18n.js';

const SIDES = ['champion', 'challenger'];
const COLOURS = 8;

/** Two bars from zero, one below the other: before and after. */
export const pair = (before, after) => h('span', { class: 'pair', 'aria-hidden': 'true' },
  h('span', { class: 'track before' }, h('span', { class: 'fill', vars: { '--share': before } })),
  h('span', { class: 'track after' }, h('span', { class: 'fill', vars: { '--share': after } })));

/** How often an answer is right, by how sure it was: on the diagonal, scores mean what they say. */
export function reliability(bins) {
  const [left, top, size] = [44, 10, 240];
  const x = (share) => left + share * size;
  const y = (share) => top + (1 - share) * size;
  const most = Math.max(1, ...SIDES.flatMap((side) => (bins[side] ?? []).map(({ n }) => n)));
  const marks = [0, 0.25, 0.5, 0.75, 1];
  const of = (side) => (bins[side] ?? []).filter(({ n }) => n > 0);
  const series = (side) => s('g', { class: side },
    s('polyline', { points: of(side).map(({ confidence, accuracy }) => `${x(confidence)},${y(accuracy)}`).join(' ') }),
    of(side).map(({ confidence, accuracy, n }) => s('circle', { cx: x(confidence), cy: y(accuracy), r: 2.5 + 5 * Math.sqrt(n / most) },
      s('title', null, `${t(side)}: ${percent(confidence, 0)} → ${percent(accuracy, 0)} (n = ${number(n)})`))));
  const chart = s('svg', { viewBox: `0 0 ${left + size + 12} ${top + size + 40}`, class: 'chart reliability', role: 'img', 'aria-label': t('reliability.alt') },
    s('g', { class: 'grid' }, marks.flatMap((mark) => [
      s('line', { x1: x(mark), x2: x(mark), y1: y(0), y2: y(1) }), s('line', { x1: x(0), x2: x(1), y1: y(mark), y2: y(mark) }),
    ])),
    s('g', { class: 'marks' }, marks.flatMap((mark) => [
      s('text', { x: x(mark), y: y(0) + 14, 'text-anchor': 'middle' }, number(100 * mark)), s('text', { x: x(0) - 6, y: y(mark) + 3.5, 'text-anchor': 'end' }, number(100 * mark)),
    ])),
    s('text', { class: 'axis', x: x(0.5), y: y(0) + 32, 'text-anchor': 'middle' }, t('reliability.x')),
    s('text', { class: 'axis', transform: `translate(11 ${y(0.5)}) rotate(-90)`, 'text-anchor': 'middle' }, t('reliability.y')),
    s('line', { class: 'ideal', x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    SIDES.map(series));
  const rows = SIDES.flatMap((side) => of(side).map(({ low, high, n, confidence, accuracy }) =>
    [t(side), `${number(100 * low)}–${number(100 * high)} %`, number(n), percent(confidence), percent(accuracy)]));
  return h('div', { class: 'chart-box' }, chart,
    h('p', { class: 'key small' }, SIDES.map((side) => h('span', null, h('i', { class: side, 'aria-hidden': 'true' }), t(side))), h('span', null, h('i', { class: 'ideal', 'aria-hidden': 'true' }), t('reliability.ideal'))),
    h('details', null, h('summary', null, t('astable')), table(t('reliability'), [
      { title: t('side') }, { title: t('reliability.x') }, { title: 'n', number: true }, { title: t('confidence'), number: true }, { title: t('accuracy'), number: true },
    ], rows)));
}

/** A map on which pictures that look alike to the model are near each other. */
export function scatter(points) {
  const size = 360;
  const xs = points.map(({ x }) => x);
  const ys = points.map(({ y }) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const place = (value, low, high) => 14 + ((value - low) / (high - low || 1)) * (size - 28);
  const counts = new Map();
  for (const { label } of points) counts.set(label, (counts.get(label) ?? 0) + 1);
  const common = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, COLOURS);
  const colour = new Map(common.map(([label], index) => [label, index]));
  const caption = h('p', { class: 'map-caption', 'aria-hidden': 'true' }, t('map.hint'));
  let at = 0;
  const text = ({ label, right: is }) => `${label} · ${t(is ? 'map.right' : 'map.wrong')}`;
  // Those of rare classes first, so that the coloured ones are not hidden.
  const order = [...points].sort((a, b) => Number(colour.has(a.label)) - Number(colour.has(b.label)));
  const dots = order.map((point, index) => {
    const [cx, cy] = [place(point.x, left, right), place(point.y, bottom, top)];
    const kind = `dot c${colour.get(point.label) ?? 'x'} ${point.right ? 'right' : 'wrong'}`;
    const props = { class: kind, role: 'img', 'aria-label': text(point), tabindex: index ? '-1' : '0' };
    const dot = point.right ? s('circle', { ...props, cx, cy, r: 4.2 }) : s('path', { ...props, d: `M${cx - 4} ${cy - 4}l8 8M${cx + 4} ${cy - 4}l-8 8` });
    dot.dataset.index = index;
    return dot;
  });
  const chart = s('svg', { viewBox: `0 0 ${size} ${size}`, class: 'chart map', role: 'group', 'aria-label': t('map.alt', { n: points.length }) }, dots);

  const say = (index) => setText(caption, text(order[index]));
  const dotOf = (event) => event.target.closest?.('.dot');
  chart.addEventListener('pointerover', (event) => { const dot = dotOf(event); if (dot) say(dot.dataset.index); });
  chart.addEventListener('pointerleave', () => setText(caption, t('map.hint')));
  chart.addEventListener('focusin', (event) => { const dot = dotOf(event); if (dot) { say(dot.dataset.index); at = Number(dot.dataset.index); } });
  chart.addEventListener('keydown', (event) => {
    const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const from = order[at];
    // The nearest one that lies that way.
    let [best, nearest] = [at, Infinity];
    order.forEach((point, index) => {
      const [dx, dy] = [(point.x - from.x) / (right - left || 1), (point.y - from.y) / (bottom - top || 1)];
      const along = dx * way[0] + dy * way[1];
      const aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
      if (along > 1e-6 && along + 2 * aside < nearest) { nearest = along + 2 * aside; best = index; }
    });
    dots[at].setAttribute('tabindex', '-1');
    at = best;
    dots[at].setAttribute('tabindex', '0');
    dots[at].focus();
  });

  let only = null;
  const legend = common.map(([label, n], index) => {
    const entry = button('', () => {
      only = only === label ? null : label;
      chart.classList.toggle('filtered', only !== null);
      order.forEach((point, of) => dots[of].classList.toggle('on', point.label === only));
      for (const other of legend) other.setAttribute('aria-pressed', String(other.dataset.label === only));
    }, { class: 'legend', 'aria-pressed': 'false', data: { label } });
    entry.append(h('i', { class: `c${index}`, 'aria-hidden': 'true' }), h('span', null, label), h('span', { class: 'muted' }, number(n)));
    return entry;
  });
  const rest = counts.size - common.length;
  return h('div', { class: 'chart-box' }, chart, caption,
    h('div', { class: 'legends', role: 'group', 'aria-label': t('map.legend') }, legend,
      rest > 0 && h('span', { class: 'legend' }, h('i', { class: 'cx', 'aria-hidden': 'true' }), t('map.rest', { n: rest }))),
    h('p', { class: 'key small' }, h('span', null, '● ', t('map.right')), h('span', null, '✕ ', t('map.wrong'))));
}

/** A line of the last values, from zero. */
export function spark() {
  const line = s('polyline');
  const element = s('svg', { viewBox: '0 0 100 24', preserveAspectRatio: 'none', class: 'spark', 'aria-hidden': 'true' }, line);
  const values = [];
  return {
    element,
    add(value) {
      values.push(value);
      if (values.length > 60) values.shift();
      const most = Math.max(...values) * 1.15 || 1;
      line.setAttribute('points', values.map((of, index) => `${((60 - values.length + index) / 59) * 100},${23 - (22 * of) / most}`).join(' '));
    },
  };
}
