// Makes one element like another and keeps what the reader did to it: focus, selection, scroll, what is folded open.

const READERS = new Set(['open']); // attributes that belong to the reader once an element stands

const box = document.createElement('template');
const policy = { createHTML: text => text };
const trusted = window.trustedTypes?.createPolicy('streamgauge', policy) ?? policy;

export function parse(markup) {
  box.innerHTML = trusted.createHTML(markup);
  return box.content.firstElementChild;
}

export function morph(now, next) {
  if (now.isEqualNode(next)) return;
  if (now.nodeName !== next.nodeName || now.id !== next.id) return now.replaceWith(next);
  if (now.nodeType !== Node.ELEMENT_NODE) { now.data = next.data; return; }
  attributes(now, next);
  children(now, next);
}

function attributes(now, next) {
  for (const { name, value } of next.attributes) {
    if (!READERS.has(name) && now.getAttribute(name) !== value) now.setAttribute(name, value);
  }
  for (const { name } of [...now.attributes]) {
    if (!READERS.has(name) && !next.hasAttribute(name)) now.removeAttribute(name);
  }
}

// A child with an id is found wherever it stands; one without is taken for the one in its place. What a script of ours put behind them stays.
function children(now, next) {
  const known = new Map([...now.children].filter(child => child.id).map(child => [child.id, child]));
  let at = now.firstChild;
  for (const wanted of [...next.childNodes]) {
    const inPlace = at && !at.id && at.nodeName === wanted.nodeName ? at : null;
    const found = wanted.id ? known.get(wanted.id) : inPlace;
    if (!found) { now.insertBefore(wanted, at); continue; }
    if (found === at) at = at.nextSibling;
    else if (now.moveBefore) now.moveBefore(found, at);
    else now.insertBefore(found, at);
    morph(found, wanted);
  }
  while (at) { const rest = at; at = at.nextSibling; if (!rest.dataset?.own) rest.remove(); }
}
