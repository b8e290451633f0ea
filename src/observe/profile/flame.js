'use strict';
// The graph's own numbers come from the document, so that text never has to be measured.
const root = document.documentElement;
const [WIDTH, CHAR] = root.dataset.sizes.split(' ').map(Number);
const boxes = [...document.querySelectorAll('.f')].map((group) => {
  const [rect, text] = [group.querySelector('rect'), group.querySelector('text')];
  const [x, y, w] = ['x', 'y', 'width'].map((name) => Number(rect.getAttribute(name)));
  return { group, rect, text, x, y, w, name: group.querySelector('title').textContent.split('\n')[0] };
});
const fit = (name, w) => {
  const room = Math.floor((w - 6) / CHAR);
  const chars = [...name];
  return room < 3 ? '' : chars.length <= room ? name : '…' + chars.slice(chars.length - room + 1).join('');
};
const show = (to) => {
  for (const box of boxes) {
    const above = box.y < to.y && box.x <= to.x + 0.01 && box.x + box.w >= to.x + to.w - 0.01;
    const within = box.y >= to.y && box.x >= to.x - 0.01 && box.x + box.w <= to.x + to.w + 0.01;
    const x = above ? to.left : to.left + (box.x - to.x) / to.w * WIDTH;
    const w = above ? WIDTH : box.w / to.w * WIDTH;
    box.group.style.display = above || within ? '' : 'none';
    box.group.classList.toggle('above', above);
    box.rect.setAttribute('x', x);
    box.rect.setAttribute('width', w);
    box.text.setAttribute('x', x + 3);
    box.text.textContent = fit(box.name, w);
  }
};
const all = boxes[0];
if (all) {
  for (const box of boxes) {
    box.group.addEventListener('click', () => show({ ...box, left: all.x }));
  }
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') show({ ...all, left: all.x });
  });
}
