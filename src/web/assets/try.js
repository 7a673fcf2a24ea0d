// One picture, and what the node sees in it.

import { aborted, api, explain, path } from './api.js';
import { bars, unknownBadge } from './bars.js';
import { button, field, h, icon, select } from './dom.js';
import { bytes, ms, names, percent, t, viewName } from './i18n.js';
import { say, unsay } from './say.js';
import { alarm, announce, complain, toast } from './toast.js';

const MOST_BYTES = 16 * 1024 * 1024;
const STEPS = ['queue', 'decode', 'infer', 'post'];
const EXAMPLE = [
  { class: 967, id: 'n07920052', label: 'espresso', label_zh: '意式浓缩咖啡', score: 0.9945 },
  { class: 968, id: 'n07930864', label: 'cup', label_zh: '杯子', score: 0.0026 },
  { class: 925, id: 'n07584110', label: 'consomme', label_zh: '法式清汤', score: 0.0015 },
];

/** What is shown outlives the view: whoever looks elsewhere finds it again. */
const kept = { file: null, url: null, result: null, said: null, model: null };
let asked = null;

export async function mount(root, { signal }) {
  const input = h('input', { type: 'file', id: 'try-file', accept: 'image/*', 'aria-label': t('try.choose'), class: 'hush', onchange: () => { take(input.files[0]); input.value = ''; } });
  const models = h('div', { class: 'try-model' });
  const stage = h('div', { class: 'stage' });
  const side = h('div', { class: 'try-side' });
  root.append(
    h('div', { class: 'view-head' }, h('h1', null, t('try.title')), models),
    input, h('div', { class: 'try-grid' }, stage, side));

  function take(file) {
    if (!file) return;
    if (kept.url) URL.revokeObjectURL(kept.url);
    Object.assign(kept, { file, url: URL.createObjectURL(file), result: null, said: null });
    if (file.size > MOST_BYTES) refuse(t('try.large', { size: bytes(file.size) }));
    else if (!file.size) refuse(t('try.nothing'));
    else classify();
  }

  function another() {
    asked?.abort();
    if (kept.url) URL.revokeObjectURL(kept.url);
    Object.assign(kept, { file: null, url: null, result: null, said: null });
    showEmpty();
    input.focus();
  }

  async function classify() {
    asked?.abort();
    asked = new AbortController();
    const { signal: mine } = asked;
    showPicture();
    side.replaceChildren(h('div', { class: 'card waiting', id: 'try-waiting' }, h('p', { class: 'muted' }, t('try.looking')), skeleton()));
    announce(t('try.looking'));
    try {
      const body = kept.file;
      kept.result = await api(path('/api/classify', { model: kept.model, pictures: true }), { method: 'POST', body, type: body.type || 'application/octet-stream', signal: mine });
      showResult();
      const best = kept.result.top3.map((of) => `${names(of).first} ${percent(of.score)}`).join(', ');
      announce(kept.result.unknown ? `${t('unknown')}. ${best}` : best);
    } catch (error) {
      if (aborted(error)) return;
      const { words, detail } = explain(error);
      refuse(error.status === 415 || error.status === 422 ? t('try.unreadable') : words, detail);
    }
  }

  function refuse(words, detail) {
    showPicture();
    side.replaceChildren(h('div', { class: 'note bad', id: 'try-error' },
      h('p', null, words), detail && h('p', { class: 'small', lang: 'en' }, detail), anotherButton()));
    alarm(words);
  }

  const anotherButton = (props) => button(t('try.another'), another, { id: 'try-another', ...props });

  function showPicture() {
    stage.className = 'stage with-picture';
    const { name, size } = kept.file;
    const picture = h('img', { src: kept.url, alt: t('try.picture', { name }), onerror: () => {
      picture.replaceWith(h('p', { class: 'no-preview' }, t('try.nopreview')));
    } });
    stage.replaceChildren(h('figure', null, h('div', { class: 'matte' }, picture),
      h('figcaption', { class: 'muted small' }, h('span', { class: 'file-name' }, name), h('span', null, bytes(size)))));
  }

  function showEmpty() {
    stage.className = 'stage empty';
    const camera = navigator.mediaDevices?.getUserMedia && isSecureContext
      ? button(t('try.camera'), async () => take(await (await import('./capture.js')).capture()), { name: 'camera' })
      : matchMedia('(pointer: coarse)').matches && h('label', { class: 'button', for: 'try-camera' }, icon('camera'), h('span', null, t('try.camera')),
        h('input', { type: 'file', id: 'try-camera', accept: 'image/*', capture: 'environment', class: 'hush', onchange: (event) => take(event.target.files[0]) }));
    stage.replaceChildren(h('div', { class: 'drop' },
      icon('file'), h('p', { class: 'drop-title' }, t('try.drop')),
      h('div', { class: 'drop-ways' }, h('label', { class: 'button primary', for: 'try-file' }, icon('file'), h('span', null, t('try.choose'))), camera),
      h('p', { class: 'muted small' }, t('try.paste'))));
    const example = bars({ synsets: true });
    example.patch({ top3: EXAMPLE });
    for (const bar of example.element.children) delete bar.dataset.class;
    side.replaceChildren(h('section', { class: 'card example', 'aria-labelledby': 'example-title' },
      h('div', { class: 'card-head' }, h('h2', { id: 'example-title' }, t('try.example')), h('span', { class: 'muted small' }, t('try.example.of'))),
      example.element,
      h('p', { class: 'muted small' }, t('try.example.text'))));
  }

  function showResult() {
    const { result } = kept;
    const best = bars({ synsets: true, class: 'large' });
    best.patch(result);
    side.replaceChildren(h('section', { class: 'card', id: 'try-result', 'aria-labelledby': 'result-title' },
      h('div', { class: 'card-head' }, h('h2', { id: 'result-title' }, t('try.result')), result.unknown && unknownBadge(),
        result.cached && h('span', { class: 'badge', title: t('try.cached.why') }, t('try.cached'))),
      result.unknown && h('p', { class: 'muted small' }, t('unknown.why')),
      result.top3.length ? best.element : h('p', null, t('try.unlearnt')),
      verdict(result), timing(result), views(result)));
  }

  function verdict(result) {
    const box = h('div', { class: 'verdict' });
    const about = { file: kept.file, model: result.model.name, top: result.top3[0] };
    const state = async (choice, name) => {
      for (const control of box.querySelectorAll('button')) control.disabled = true;
      try {
        const said = await say(result.frame, choice, about);
        kept.said = { id: said.feedback, name, fresh: said.new_class };
        show();
        toast(kept.said.fresh ? t('said.new', { label: name }) : t('said', { label: name }), { back: undo });
      } catch (error) {
        complain(error);
        show();
      }
    };
    const undo = async () => {
      await unsay(kept.said.id);
      kept.said = null;
      show();
    };
    const wrong = async () => {
      const { pick } = await import('./labelpicker.js');
      const chosen = await pick({ model: result.model.name, suggest: result.top3.slice(1) });
      if (chosen) await state(chosen, names(chosen).first);
    };
    function show() {
      if (kept.said) {
        box.replaceChildren(
          h('p', { class: 'said' }, icon('check'), h('span', null, t(kept.said.fresh ? 'said.new' : 'said', { label: kept.said.name }))),
          button(t('undo'), () => undo().then(() => toast(t('undone')), complain), { plain: true }), anotherButton({ primary: true }));
      } else {
        box.replaceChildren(
          ...(result.top3.length ? [button(t('right'), () => state({ correct: true }, names(result.top3[0]).first), { name: 'check', id: 'try-right' })] : []),
          button(result.top3.length ? t('wrong') : t('say'), wrong, { name: 'pencil', id: 'try-wrong' }), anotherButton({ plain: true }));
      }
    }
    show();
    return box;
  }

  async function chooser() {
    const { models: all } = await api('/api/models', { signal });
    const served = all.filter((model) => model.served);
    const list = served.length ? served : all;
    if (!list.some(({ name }) => name === kept.model)) kept.model = null;
    if (list.length < 2) return;
    models.append(field(t('model'), select([['', t('try.model.default')], ...list.map(({ name }) => [name, name])], kept.model ?? '', {
      id: 'try-model', onchange: (event) => { kept.model = event.target.value || null; if (kept.file) classify(); },
    }), { class: 'field inline' }));
  }

  document.addEventListener('paste', (event) => {
    const file = [...event.clipboardData?.files ?? []].find(({ type }) => type.startsWith('image/')) ?? event.clipboardData?.files[0];
    if (file && !document.querySelector('dialog[open]')) { event.preventDefault(); take(file); }
  }, { signal });
  let over = 0;
  const drag = (count) => (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    over = Math.max(0, over + count);
    root.classList.toggle('over', over > 0);
  };
  addEventListener('dragenter', drag(1), { signal });
  addEventListener('dragleave', drag(-1), { signal });
  addEventListener('dragover', drag(0), { signal });
  addEventListener('drop', (event) => {
    event.preventDefault();
    over = 0;
    root.classList.remove('over');
    take(event.dataTransfer.files[0]);
  }, { signal });

  if (kept.result) { showPicture(); showResult(); } else if (kept.file) classify(); else showEmpty();
  chooser().catch((error) => { if (!aborted(error)) complain(error); });
}

function skeleton() {
  return h('div', { class: 'skeleton', 'aria-hidden': 'true' }, [0, 1, 2].map(() => h('span')));
}

/** What each step took, as parts of the whole. */
function timing({ ms: took, model, cached }) {
  const total = STEPS.reduce((sum, step) => sum + (took[step] ?? 0), 0);
  const parts = STEPS.map((step) => h('span', { class: `part ${step}`, vars: { '--share': total ? (took[step] ?? 0) / total : 0 } }));
  return h('div', { class: 'timing' },
    h('h3', null, t('try.took'), h('span', { class: 'sum' }, ms(total))),
    h('div', { class: 'parts', 'aria-hidden': 'true' }, parts),
    h('dl', { class: 'steps' }, STEPS.map((step) => h('div', null, h('dt', null, h('i', { class: step, 'aria-hidden': 'true' }), t(`step.${step}`)), h('dd', null, ms(took[step] ?? 0))))),
    h('p', { class: 'muted small' }, t('try.by', { model: model.name, version: model.version }), ' ', cached && t('try.cached.why')));
}

/** What the model looked at. */
function views({ views: count, pictures }) {
  const list = pictures ?? [];
  return h('div', { class: 'looked' },
    h('h3', null, t('try.views', { n: count })),
    h('ul', { id: 'try-views' }, list.map(({ view, jpeg }) => {
      const name = viewName(view);
      return h('li', null, h('figure', null, h('img', { src: `data:image/jpeg;base64,${jpeg}`, alt: '', width: '96', height: '96' }), h('figcaption', null, name)));
    })),
    list.length === 0 && h('p', { class: 'muted small' }, t('try.noviews')));
}
