// A version in detail: what the gate says of it, and what was measured.

import { h, table, wide } from './dom.js';
import { known, number, percent, t, when } from './i18n.js';

/** Draws it. What is not known is left out. */
export async function details(box, model, version, signal) {
  // What was measured was written down before the version had its number, and before it was put in use.
  const made = version.metrics;
  const metrics = made?.verdict ? { ...made, promoted: version.in_use, challenger: { ...made.challenger, version: version.version } } : made;
  const title = h('h3', { class: 'details-title' }, t('details.title', { version: version.version }));
  if (!metrics) {
    box.replaceChildren(title, h('p', { class: 'muted' }, t('details.none')));
    return;
  }
  const charts = await import('./charts.js');
  if (signal.aborted) return;
  const { findings = {} } = metrics;
  const parts = metrics.verdict ? [
    verdict(metrics),
    h('div', { class: 'details-grid' },
      sides(metrics),
      findings.reliability && figure(t('reliability'), t('reliability.text'), charts.reliability(findings.reliability)),
      changes(metrics, charts),
      findings.confusions?.length > 0 && confusions(findings.confusions),
      findings.map?.length > 0 && figure(t('map'), t('map.text'), charts.scatter(findings.map)),
      metrics.doubtful?.length > 0 && doubtful(metrics.doubtful)),
  ] : calibrated(metrics);
  box.replaceChildren(...[title, parts].flat(3).filter(Boolean));
}

const figure = (title, text, ...content) => h('section', { class: 'part' }, h('h4', null, title), h('p', { class: 'muted small' }, text), ...content);
const points = ({ points: by, interval }) => t('points', { n: signed(by), low: signed(interval.low), high: signed(interval.high) });
const signed = (value) => `${value > 0 ? '+' : value < 0 ? '−' : '±'}${number(Math.abs(value), 1)}`;

/** The verdict in the words of the page, from the numbers; and in the node's own. */
function verdict(metrics) {
  const { verdict: of, reason, promoted, top3, top1, known: old, confirmed } = metrics;
  const kind = { promote: 'good', keep: '', reject: 'warn', too_little: '' }[of] ?? '';
  const line = (name, paired) => paired && h('li', null, h('span', null, t(name)), ' ', h('strong', null, points(paired)), ' ',
    h('span', { class: 'muted' }, t('paired', { gained: paired.gained, lost: paired.lost, n: paired.n })));
  return h('div', { class: `note ${kind} verdict-note` },
    h('p', null, h('strong', null, t(`verdict.${of}${promoted ? '.done' : ''}`))),
    h('p', { class: 'small' }, t(`verdict.${of}.text`)),
    h('ul', { class: 'paired' }, line('paired.top3', top3), line('paired.top1', top1), line('paired.known', old), line('paired.confirmed', confirmed)),
    reason && h('p', { class: 'small muted' }, t('verdict.says'), ' ', h('q', { lang: 'en' }, reason)));
}

function sides({ champion, challenger, n_train: train, n_held_out: held, n_sure: sure, seconds }) {
  const plain = (digits) => (value) => known(value, (of) => number(of, digits));
  const rows = [
    ['version', (side) => side.version ?? t('notwritten')], ['models.classes', (side) => plain(0)(side.classes)], ['top1', (side) => percent(side.top1)],
    ['top3', (side) => percent(side.top3)], ['ece', (side) => plain(3)(side.ece)], ['temperature', (side) => plain(2)(side.temperature)],
  ];
  return h('section', { class: 'part' }, h('h4', null, t('sides')),
    h('p', { class: 'muted small' }, t('sides.text', { train: train ?? 0, held: held ?? 0 }), sure > 0 && ` ${t('sides.sure', { n: sure })}`, seconds !== undefined && ` ${t('sides.seconds', { n: number(seconds, 0) })}`),
    table(t('sides'), [{ title: t('measure') }, { title: t('champion'), number: true }, { title: t('challenger'), number: true }],
      rows.map(([name, show]) => [t(name), show(champion ?? {}), show(challenger ?? {})])));
}

/** Class by class, before and after. */
function changes({ classes = [] }, { pair }) {
  if (!classes.length) return null;
  const row = (of) => {
    const judged = known(of.champion_top3, () => '') === '' || known(of.challenger_top3, () => '') === '';
    return {
      cells: [
        [of.label, of.new && [' ', h('span', { class: 'badge' }, t('new'))]],
        of.n < of.needed ? t('needs.of', { n: of.n, need: of.needed }) : number(of.n),
        judged && of.n ? pair((of.champion_top3 ?? 0) / of.n, (of.challenger_top3 ?? 0) / of.n) : '',
        known(of.champion_top3, number), known(of.challenger_top3, number),
      ],
    };
  };
  const columns = [{ title: t('class') }, { title: t('examples'), number: true }, { title: t('share') }, { title: t('champion'), number: true }, { title: t('challenger'), number: true }];
  const shown = 12;
  return h('section', { class: 'part' }, h('h4', null, t('classes')), h('p', { class: 'muted small' }, t('classes.text')),
    wide(t('classes'), table(t('classes'), columns, classes.slice(0, shown).map(row), { class: 'changes' })),
    classes.length > shown && h('details', null, h('summary', null, t('more.n', { n: classes.length - shown })),
      wide(t('classes'), table(t('classes'), columns, classes.slice(shown).map(row), { class: 'changes' }))));
}

function confusions(list) {
  return h('section', { class: 'part' }, h('h4', null, t('confusions')), h('p', { class: 'muted small' }, t('confusions.text')),
    table(t('confusions'), [{ title: t('confusions.shows') }, { title: t('confusions.said') }, { title: t('confusions.times'), number: true }],
      list.slice(0, 15).map(({ label, said, n }) => [label, said, number(n)])));
}

function doubtful(list) {
  return h('section', { class: 'part' }, h('h4', null, t('doubtful')), h('p', { class: 'muted small' }, t('doubtful.text')),
    h('ul', { class: 'doubtful' }, list.slice(0, 24).map(({ frame, label, score }) => h('li', null,
      h('a', { href: `/api/frames/${encodeURIComponent(frame)}.jpg`, target: '_blank', rel: 'noopener' },
        h('span', { class: 'matte' }, h('img', { src: `/api/frames/${encodeURIComponent(frame)}.jpg?small=true`, alt: '', loading: 'lazy', onerror: (event) => event.target.remove() })),
        h('span', { class: 'name' }, label), h('span', { class: 'muted small' }, percent(score)), h('span', { class: 'hush' }, t('doubtful.open')))))));
}

/** Of a calibration, or of something unheard of: what is known. */
function calibrated(metrics) {
  const { ece_before: before, ece_after: after, n, at } = metrics;
  const rows = [
    n !== undefined && [t('calibrated.n'), number(n)], at && [t('models.made'), when(at)],
    before !== undefined && [t('ece'), `${known(before, (of) => number(of, 3))} → ${known(after, (of) => number(of, 3))}`],
    metrics.temperature !== undefined && [t('temperature'), known(metrics.temperature, (of) => number(of, 2))],
    metrics.unknown_below !== undefined && [t('calibrated.unknown'), known(metrics.unknown_below, (of) => percent(of))],
  ].filter(Boolean);
  return [
    h('p', { class: 'muted small' }, t(before === undefined ? 'details.other' : 'details.calibrated')),
    rows.length > 0 && h('dl', { class: 'facts' }, rows.map(([name, value]) => h('div', null, h('dt', null, name), h('dd', null, value)))),
    before === undefined && h('details', null, h('summary', null, 'metrics.json'), h('pre', { tabindex: '0' }, h('code', null, JSON.stringify(metrics, null, 2).slice(0, 20000)))),
  ];
}
