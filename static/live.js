// Keeps the page up to date over one stream of events, and says truthfully whether it is.

import { morph, parse } from './morph.js';
import { serverNow, setClock, tick } from './ages.js';
import './keys.js';

const FIRST_WAIT = 500, LONGEST_WAIT = 15000; // before connecting again
const SILENCE = 40000; // the server sends something every 15 s

const sign = document.getElementById('live');
const { live: address, since } = document.body.dataset;

const WORDS = {
  live: 'live',
  stale: 'stale: no news from NATS',
  connecting: 'connecting',
  disconnected: 'disconnected: trying again',
  paused: 'paused',
};

let source, timer, wait = FIRST_WAIT, heard = 0, last = since, state;

function show(next) {
  if (next === state) return;
  state = next;
  sign.dataset.state = next;
  sign.textContent = WORDS[next];
}

function patch({ data, lastEventId }) {
  const next = parse(data), main = document.getElementById('main');
  if (!next || next.id !== 'main') return;
  last = lastEventId;
  wait = FIRST_WAIT;
  setClock(Number(next.dataset.now));
  morph(main, next);
  document.title = `${next.dataset.title} · Streamgauge`;
  document.dispatchEvent(new Event('patched'));
  judge();
}

// Live means that news arrive and that what they tell is new.
function judge() {
  if (!source || source.readyState !== EventSource.OPEN) return;
  const { taken, staleAfter } = document.getElementById('main').dataset;
  const isStale = taken && serverNow() - Number(taken) > Number(staleAfter);
  const isAway = document.querySelector('#status .critical');
  show(isStale || isAway ? 'stale' : 'live');
}

function open() {
  if (source || document.hidden) return;
  if (!state || state === 'paused') show('connecting');
  source = new EventSource(`${address}&since=${encodeURIComponent(last)}`);
  heard = Date.now();
  const listen = (name, then) => source.addEventListener(name, event => { heard = Date.now(); then(event); });
  listen('open', judge);
  listen('patch', patch);
  listen('ping', () => { wait = FIRST_WAIT; judge(); });
  source.addEventListener('error', again);
}

function close() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

function again() {
  close();
  show('disconnected');
  timer = setTimeout(open, wait * (0.5 + Math.random() / 2));
  wait = Math.min(wait * 2, LONGEST_WAIT);
}

function pause() {
  close();
  show('paused');
}

if (address) {
  setClock(Number(document.getElementById('main').dataset.now));
  document.addEventListener('visibilitychange', () => { if (document.hidden) pause(); else open(); });
  addEventListener('pagehide', pause);
  addEventListener('pageshow', event => { if (event.persisted) open(); });
  setInterval(() => {
    if (source && Date.now() - heard > SILENCE) again();
    if (document.hidden) return;
    tick();
    judge();
  }, 1000);
  open();
}
