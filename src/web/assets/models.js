// The models of the node, their versions, and how they learn.

import { aborted, api, explained, path } from './api.js';
import { button, h, icon, table, wide } from './dom.js';
import { known, number, percent, t, when } from './i18n.js';
import { retrainPanel } from './retrain.js';
import { complain, toast } from './toast.js';
import { details } from './version.js';

export async function mount(root, { path: at, signal }) {
  let [modelName = '', versionName = ''] = at;
  let models = [];
  const list = h('div', { class: 'models' });
  const panel = retrainPanel({ signal, finished: () => refresh().catch(() => null) });
  root.append(
    h('div', { class: 'view-head' }, h('h1', null, t('models.title')), h('span', { class: 'grow' }),
      button(t('models.new'), async () => { await (await import('./newmodel.js')).newModel(models); refresh(); }, { name: 'plus', id: 'model-new' })),
    panel.element, list);

  async function refresh() {
    ({ models } = await api('/api/models', { signal }));
    panel.models(models, modelName);
    draw();
  }

  function draw() {
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    list.replaceChildren(...models.map(section));
    if (!models.length) list.append(h('p', { class: 'muted' }, t('models.none')));
    if (focused) list.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  function section(model) {
    const { name, version, served, versions } = model;
    const id = `model-${name.replace(/[^\w-]/g, '_')}`;
    const mine = name === modelName;
    const chosen = (mine && versions.find((of) => of.version === versionName)) || null;
    const rollback = versions.length > 1 && button(t('models.rollback'), () => back(model), { class: 'rollback', data: { model: name } });
    const box = h('div', { class: 'version-details', id: `${id}-details` });
    const element = h('section', { class: 'card model', data: { model: name }, 'aria-labelledby': id },
      h('div', { class: 'card-head' }, h('h2', { id }, name),
        h('span', { class: 'badge accent' }, t('models.version', { version })),
        served ? h('span', { class: 'badge good' }, t('models.served')) : h('span', { class: 'badge', title: t('models.notserved.why') }, t('models.notserved')),
        h('span', { class: 'grow' }), rollback),
      wide(t('models.versions', { model: name }), versionTable(model, chosen)), box);
    if (chosen) details(box, model, chosen, signal);
    return element;
  }

  function versionTable(model, chosen) {
    const columns = [
      { title: t('version') }, { title: t('models.made') }, { title: t('models.parent') }, { title: t('models.classes'), number: true },
      { title: t('top1'), number: true }, { title: t('top3'), number: true }, { title: t('ece'), number: true }, { title: t('actions'), hidden: true },
    ];
    return table(t('models.versions', { model: model.name }), columns, model.versions.map((of) => {
      const { version, in_use: inUse, error } = of;
      const { top1, top3, before, after } = figures(of.metrics);
      const open = chosen === of;
      const go = h('a', {
        href: `#/models/${encodeURIComponent(model.name)}${open ? '' : `/${encodeURIComponent(version)}`}`, class: 'version-link', data: { key: `${model.name}/${version}` },
        'aria-current': open ? 'true' : null,
      }, icon('down'), t('models.version', { version }));
      const act = inUse ? h('span', { class: 'badge good' }, icon('check'), t('models.inuse'))
        : button(t('models.promote'), () => promote(model, version), { class: 'promote', data: { version, key: `p/${model.name}/${version}` }, disabled: Boolean(error), 'aria-label': t('models.promote.name', { version, model: model.name }) });
      return {
        class: `version ${open ? 'open' : ''} ${inUse ? 'in-use' : ''}`, data: { version },
        cells: [
          [go, error && h('p', { class: 'small bad-text', lang: 'en' }, error)], of.made ? when(of.made) : t('models.shipped'), of.parent ?? '–', known(of.classes, number), percent(top1), percent(top3),
          before === null && after === null ? '–' : [before === null ? '' : `${number(before, 3)} → `, h('strong', null, known(after, (value) => number(value, 3)))], act,
        ],
      };
    }), { class: 'versions' });
  }

  async function move(request, title, text, yes) {
    const { confirm } = await import('./dialog.js');
    if (!await confirm({ title, text, yes })) return;
    try {
      const { name, version } = await api(request, { method: 'POST' });
      toast(t('models.moved', { model: name, version }));
      await refresh();
    } catch (error) {
      complain(error);
    }
  }

  const promote = ({ name, version: now }, version) => move(path(`/api/models/${encodeURIComponent(version)}/promote`, { model: name }),
    t('models.promote.title', { version }), t('models.promote.text', { model: name, version, now }), t('models.promote'));
  const back = ({ name, version: now }) => move(path('/api/models/rollback', { model: name }), t('models.rollback.title', { model: name }),
    t('models.rollback.text', { model: name, now }), t('models.rollback'));

  try {
    await refresh();
  } catch (error) {
    if (aborted(error)) throw error;
    list.replaceChildren(h('div', { class: 'note bad' }, h('p', null, explained(error)), button(t('again'), () => refresh().catch(complain))));
  }
  return ({ path: next }) => {
    [modelName = '', versionName = ''] = next;
    panel.models(models, modelName);
    draw();
    if (versionName) list.querySelector(`[data-model="${CSS.escape(modelName)}"] .version-details`)?.scrollIntoView({ block: 'nearest', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
    list.querySelector(`[data-key="${CSS.escape(`${modelName}/${versionName}`)}"]`)?.focus({ preventScroll: true });
  };
}

/** What was measured of a version, whoever measured it. */
function figures(metrics) {
  const { challenger, ece_before: eceBefore, ece_after: eceAfter, after, champion } = metrics ?? {};
  return {
    top1: challenger?.top1 ?? after?.top1 ?? null,
    top3: challenger?.top3 ?? after?.top3 ?? null,
    before: champion?.ece ?? eceBefore ?? null,
    after: challenger?.ece ?? eceAfter ?? null,
  };
}
