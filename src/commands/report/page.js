// The picture of the point under the pointer. Without this, the point's title says what it is.
const preview = document.getElementById("preview");
const [image, text] = preview.children;
const map = document.querySelector(".map svg");
map.addEventListener("pointerover", (event) => {
  const point = event.target.closest("circle");
  if (!point) return;
  text.textContent = point.textContent;
  image.hidden = !point.dataset.picture;
  if (point.dataset.picture) image.src = "data:image/jpeg;base64," + point.dataset.picture;
  preview.hidden = false;
  const box = point.getBoundingClientRect();
  const left = box.right + 12 + preview.offsetWidth > innerWidth ? box.left - 12 - preview.offsetWidth : box.right + 12;
  preview.style.left = Math.max(0, left) + "px";
  preview.style.top = Math.max(0, Math.min(box.top, innerHeight - 280)) + "px";
});
map.addEventListener("pointerout", () => { preview.hidden = true; });
