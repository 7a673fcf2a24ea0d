// Every camera, live: its newest frame and what is seen in it.

import { aborted, api } from './api.js';
import { bars, unknownBadge } from './bars.js';
import { button, h, icon, setText } from './dom.js';
import { ago, names, number, t } from './i18n.js';
import { listen } from './live.js';
import { say, unsay } from './say.js';
import { complain, toast } from './toast.js';

const PICTURE_EVERY_MS = 1000;
const RATES_EVERY_MS = 5000;
const STALE_S = 10;

export async function mount(root, { signal }) {
  const cards = new Map();
  const dirty = new Set();
  let waiting = false;
  let wanted = '';
  const state = h('span', { class: 'live-state' }, h('i', { 'aria-hidden': 'true' }), h('span', { role: 'status' }));
  const count = h('span', { class: 'muted', 'aria-live': 'off' });
  const filter = h('input', { type: 'search', id: 'cameras-filter', placeholder: t('cameras.filter'), 'aria-label': t('cameras.filter'), oninput: () => { wanted = filter.value.trim().toLowerCase(); filterAll(); } });
  const list = h('ul', { class: 'cameras', id: 'cameras-list', 'aria-label': t('cameras.title') });
  const none = h('p', { class: 'muted', hidden: true }, t('cameras.nomatch'));
  root.append(h('div', { class: 'view-head' }, h('h1', null, t('cameras.title')), count, h('span', { class: 'grow' }), filter, state), list, none);

  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const card = cards.get(target.dataset.camera);
      if (!card) continue;
      card.visible = isIntersecting;
      if (isIntersecting) schedule(card);
    }
  }, { rootMargin: '100px' });
  signal.addEventListener('abort', () => seen.disconnect());

  /** All that came since the last one is shown with the next picture of the screen. */
  function schedule(card) {
    dirty.add(card);
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      for (const of of dirty) if (of.visible) { of.draw(); dirty.delete(of); }
    });
  }

  /** A result, live, or with the rates of its camera; the latter may be older than what came live. */
  function take(result, known) {
    const { age_ms: age = 0, ...rates } = known ?? {};
    const name = result.camera;
    if (!name || signal.aborted) return;
    let card = cards.get(name);
    if (!card) {
      card = makeCard(name);
      cards.set(name, card);
      const next = [...list.children].find((other) => compare(other.dataset.camera, name) > 0);
      list.insertBefore(card.element, next ?? null);
      seen.observe(card.element);
      counted();
    }
    const newer = known ? result.frame > card.result?.frame : result.frame !== card.result?.frame;
    if (!card.result || newer) card.take(result, performance.now() - age);
    Object.assign(card.rates, rates);
    if (wanted) card.element.hidden = !matches(card);
    schedule(card);
  }

  const matches = ({ name, result }) => !wanted || name.toLowerCase().includes(wanted)
    || (result?.top3 ?? []).slice(0, 1).some((of) => [of.label, of.label_zh ?? ''].some((text) => text.toLowerCase().includes(wanted)))
    || (result?.unknown && t('unknown').toLowerCase().includes(wanted));

  function filterAll() {
    let any = false;
    for (const card of cards.values()) {
      card.element.hidden = !matches(card);
      any ||= !card.element.hidden;
    }
    none.hidden = any || !cards.size;
  }

  function counted() {
    setText(count, t('cameras.count', { n: cards.size }));
    root.querySelector('#cameras-none')?.remove();
    filter.disabled = false;
  }

  async function rates() {
    const { cameras } = await api('/api/cameras', { signal });
    for (const { result, camera, ...rest } of cameras) take({ ...result, camera }, rest);
    if (!cards.size && !root.querySelector('#cameras-none')) { filter.disabled = true; root.append(empty()); }
  }

  await rates();
  listen({ result: take, state: (next) => {
    state.dataset.state = next;
    setText(state.lastChild, t(`live.${next}`));
  } }, signal);
  const often = setInterval(() => { for (const card of cards.values()) if (card.visible) card.tick(); }, 500);
  const rarely = setInterval(() => { if (!document.hidden) rates().catch((error) => { if (!aborted(error)) state.dataset.state = 'reconnecting'; }); }, RATES_EVERY_MS);
  signal.addEventListener('abort', () => { clearInterval(often); clearInterval(rarely); for (const card of cards.values()) card.stop(); });
}

const compare = (a, b) => a.localeCompare(b, undefined, { numeric: true });

function makeCard(name) {
  const card = { name, result: null, rates: {}, visible: false };
  let at = 0;
  let interval = 0;
  let picture = null;
  let pictured = 0;
  let loading = null;
  let said = null;
  const id = `camera-${name.replace(/[^\w-]/g, '_')}-title`;
  const matte = h('div', { class: 'matte' });
  const age = h('span', { class: 'age' });
  const badge = unknownBadge();
  const best = bars();
  const rate = h('span', { class: 'rate' });
  const drops = h('span', { class: 'drops' });
  const model = h('span', { class: 'of-model' });
  const right = button(t('right'), () => state({ correct: true }), { name: 'check', class: 'camera-right', 'aria-describedby': id });
  const wrong = button(t('wrong.short'), choose, { class: 'camera-wrong', 'aria-describedby': id });
  card.element = h('li', { class: 'camera card', data: { camera: name }, 'aria-labelledby': id },
    h('div', { class: 'picture' }, matte, h('span', { class: 'over' }, badge, age)),
    h('div', { class: 'camera-head' }, h('h2', { id }, name), model),
    best.element,
    h('div', { class: 'camera-foot' }, h('span', { class: 'numbers' }, rate, drops), h('span', { class: 'acts' }, right, wrong)));

  card.take = (result, when) => {
    const step = (when - at) / 1000;
    if (at && step > 0) interval = interval ? 0.8 * interval + 0.2 * step : step;
    at = when;
    card.result = result;
  };

  card.draw = () => {
    const { result, rates } = card;
    best.patch(result);
    badge.hidden = !result.unknown;
    setText(model, `${result.model.name} ${result.model.version}`);
    setText(rate, t('cameras.rate', { n: number(rates.per_second ?? 0, 1) }));
    setText(drops, t('cameras.drops', { n: rates.dropped ?? 0 }));
    drops.classList.toggle('some', (rates.dropped ?? 0) > 0);
    right.disabled = said !== null || !result.top3.length;
    card.tick();
    show();
  };

  card.tick = () => {
    const seconds = (performance.now() - at) / 1000;
    const every = card.rates.per_second > 0 ? 1 / card.rates.per_second : interval;
    const stale = seconds > Math.max(STALE_S, 5 * every);
    card.element.classList.toggle('stale', stale);
    setText(age, stale ? t('cameras.stale', { age: ago(seconds) }) : ago(seconds));
  };

  /** The newest frame, decoded before it is shown: nothing flickers. */
  function show() {
    const { frame } = card.result;
    if (picture === frame || loading) return;
    const wait = PICTURE_EVERY_MS - (performance.now() - pictured);
    const next = h('img', { alt: t('cameras.picture', { camera: name }), decoding: 'async' });
    loading = setTimeout(async () => {
      pictured = performance.now();
      const { frame: newest } = card.result;
      next.src = `/api/frames/${newest}.jpg?small=true`;
      try {
        await next.decode();
        matte.replaceChildren(next);
        picture = newest;
      } catch {
        // No longer held. What was shown before stays: the age says how old it is.
        picture = newest;
        if (!matte.firstChild) matte.append(h('p', { class: 'no-preview' }, t('cameras.nopicture')));
      }
      loading = null;
      if (card.visible && card.result.frame !== picture) show();
    }, Math.max(0, wait));
  }

  card.stop = () => clearTimeout(loading);

  async function state(choice, about = card.result) {
    said = about.frame;
    right.disabled = true;
    wrong.disabled = true;
    try {
      const { feedback, new_class: fresh } = await say(about.frame, choice, { model: about.model.name, camera: name });
      const label = choice.correct ? names(about.top3[0]).first : names(choice).first;
      toast(`${name}: ${t(fresh ? 'said.new' : 'said', { label })}`, { back: () => unsay(feedback) });
      card.element.classList.remove('noted');
      requestAnimationFrame(() => card.element.classList.add('noted'));
    } catch (error) {
      complain(error);
    } finally {
      said = null;
      right.disabled = !card.result.top3.length;
      wrong.disabled = false;
    }
  }

  async function choose() {
    // It is about the frame that was seen when the button was pressed, whatever comes while one thinks.
    const about = card.result;
    const { pick } = await import('./labelpicker.js');
    const chosen = await pick({ title: t('picker.camera', { camera: name }), model: about.model.name, suggest: about.top3.slice(1) });
    if (chosen) await state(chosen, about);
  }
  return card;
}

function empty() {
  const line = `mosquitto_pub -h ${location.hostname} -t cameras/gate/frame -f picture.jpg`;
  return h('section', { class: 'empty-state', id: 'cameras-none', 'aria-labelledby': 'cameras-none-title' },
    icon('camera'), h('h2', { id: 'cameras-none-title' }, t('cameras.none')),
    h('p', { class: 'muted' }, t('cameras.none.text'), ' ', h('code', null, 'cameras/<', t('cameras.none.name'), '>/frame'), t('cameras.none.stop')),
    h('div', { class: 'copy' }, h('code', { tabindex: '0' }, line), button(t('copy'), (event) => copy(line, event.currentTarget), { name: 'copy' })),
    h('p', { class: 'muted small' }, t('cameras.none.other')));
}

async function copy(line, from) {
  const { copyText } = await import('./copy.js');
  await copyText(line, from);
}
