// A picture from the device's camera, with a live preview.

import { open } from './dialog.js';
import { button, h, setText } from './dom.js';
import { t } from './i18n.js';

/** Gives a file, or null. */
export async function capture() {
  let stream = null;
  let closed = false;
  const stop = () => { for (const track of stream?.getTracks() ?? []) track.stop(); };
  const file = await open('capture', t('capture.title'), (close) => {
    const video = h('video', { autoplay: true, playsinline: true, muted: true, 'aria-label': t('capture.live') });
    const status = h('p', { class: 'capture-status', role: 'status' }, t('capture.wait'));
    const shoot = button(t('capture.take'), take, { primary: true, name: 'camera', disabled: true, 'data-first': true });
    const other = button(t('capture.other'), () => start(facing === 'user' ? 'environment' : 'user'), { hidden: true });
    let facing = 'environment';

    async function start(wanted) {
      facing = wanted;
      stop();
      try {
        const media = await navigator.mediaDevices.getUserMedia({ video: { facingMode: { ideal: wanted }, width: { ideal: 1920 } } });
        stream = media;
        if (closed) return stop();
        video.srcObject = media;
        await video.play();
        setText(status, '');
        shoot.disabled = false;
        shoot.focus();
        const devices = await navigator.mediaDevices.enumerateDevices();
        other.hidden = devices.filter(({ kind }) => kind === 'videoinput').length < 2;
      } catch (error) {
        setText(status, t({ NotAllowedError: 'capture.denied', NotFoundError: 'capture.none' }[error.name] ?? 'capture.failed'));
      }
      return undefined;
    }

    function take() {
      const canvas = h('canvas', { width: String(video.videoWidth), height: String(video.videoHeight) });
      canvas.getContext('2d').drawImage(video, 0, 0);
      canvas.toBlob((blob) => close(blob && new File([blob], `${t('capture.file')}.jpg`, { type: 'image/jpeg' })), 'image/jpeg', 0.95);
    }

    start(facing);
    return [h('div', { class: 'viewfinder' }, video, status), h('div', { class: 'dialog-foot' }, other, shoot)];
  }, { className: 'broad' });
  closed = true;
  stop();
  return file;
}
