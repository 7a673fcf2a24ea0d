// Runs before the first paint, so that the page does not flash in the wrong colours.
(() => {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const stored = () => { try { return localStorage.getItem('glanced.theme'); } catch { return null; } };
  const apply = () => {
    const wish = stored();
    const theme = wish === 'light' || wish === 'dark' ? wish : dark.matches ? 'dark' : 'light';
    document.documentElement.dataset.theme = theme;
    document.querySelector('meta[name=theme-color]')?.setAttribute('content', theme === 'dark' ? '#101315' : '#f4f5f6');
  };
  apply();
  dark.addEventListener('change', apply);
  addEventListener('glanced-theme', apply);
})();
