// What is still needed before the model can be taught and judged.

import { api, path } from './api.js';
import { label } from './bars.js';
import { h, icon } from './dom.js';
import { bytes, t } from './i18n.js';

const SHOWN = 10;

/** Draws it into the panel; of the model that is named, or the default one. */
export async function needs(panel, model, signal) {
  const stats = await api(path('/api/feedback/stats', { model }), { signal });
  const { needs: of } = stats;
  if (!of) return;
  const enough = of.have >= of.need;
  const lacking = (one) => Math.max(0, one.needed - one.n);
  const classes = [...of.classes].sort((a, b) => Math.sign(lacking(b)) - Math.sign(lacking(a)) || lacking(a) - lacking(b) || b.n - a.n);
  const row = (one) => h('li', { class: lacking(one) ? 'lacking' : null },
    h('span', { class: 'need-name' }, label(one), one.new && h('span', { class: 'badge' }, t('new'))),
    h('span', { class: 'need-count' }, lacking(one) ? t('needs.of', { n: one.n, need: one.needed }) : t('needs.has', { n: one.n })),
    h('span', { class: 'track' }, h('span', { class: 'fill', vars: { '--share': Math.min(1, one.needed ? one.n / one.needed : 1) } })));
  panel.replaceChildren(
    h('h2', { id: 'needs-title' }, t('needs.title')),
    h('p', { class: 'muted small' }, t('needs.model', { model: of.model })),
    h('div', { class: 'needs-sum' },
      h('p', { class: 'needs-text', id: 'review-needs' }, t('needs.of', { n: of.have, need: of.need })),
      h('progress', { max: of.need || 1, value: Math.min(of.have, of.need || 1), 'aria-label': t('needs.title') }),
      h('p', { class: 'small' }, enough ? t('needs.enough') : t(of.learnt ? 'needs.more' : 'needs.more.first', { n: of.need - of.have })),
    ),
    h('a', { class: `button ${enough ? 'primary' : ''}`, id: 'review-retrain', href: `#/models/${encodeURIComponent(of.model)}` }, icon('learn'), h('span', null, t('retrain'))),
    ...(classes.length > 0 ? [h('details', { class: 'need-classes', open: matchMedia('(min-width: 1041px)').matches }, h('summary', null, t('needs.classes')), h('ul', { class: 'need-list' }, classes.slice(0, SHOWN).map(row)),
      classes.length > SHOWN && h('details', null, h('summary', null, t('more.n', { n: classes.length - SHOWN })), h('ul', { class: 'need-list' }, classes.slice(SHOWN).map(row))))] : []),
    h('p', { class: 'muted small needs-store' }, t('needs.store', { labelled: stats.labelled, unlabelled: stats.unlabelled, size: bytes(stats.bytes) })));
}
