// Watches two pages while things change, without ever loading them again.

import { must, open, say, tab, told, withBrowser } from './tab.mjs';

const sign = (page, state) => page.waitForFunction(state => document.getElementById('live').dataset.state === state, state);
const shows = (page, css, text) => page.waitForFunction(
  ([css, text]) => document.querySelector(css)?.textContent.trim() === text, [css, text]);

// What the observer knows by now.
async function known(pending) {
  for (;;) {
    const answer = await (await fetch(`${told.home}/api/v1${told.consumer}`)).json();
    if (answer.state.value?.pending === pending) return;
    await new Promise(done => { setTimeout(done, 50); });
  }
}

function turn(page, state) {
  return page.evaluate(state => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state });
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => state === 'hidden' });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
}

await withBrowser(async browser => {
  const overview = await tab(browser), consumers = await tab(browser);
  const tabs = [overview, consumers];
  const { page } = consumers;
  const streams = new Set();
  const isStream = request => request.url().includes('/live?');
  page.on('request', request => { if (isStream(request)) streams.add(request); });
  for (const over of ['requestfinished', 'requestfailed']) page.on(over, request => streams.delete(request));

  await open(overview, '/');
  await open(consumers, '/consumers');
  for (const { page } of tabs) {
    await sign(page, 'live');
    await page.evaluate(() => { window.wasHere = true; });
  }
  must(streams.size === 1, `a tab follows ${streams.size} streams`);
  await page.locator('#q').fill('half a word');
  const total = await overview.page.locator('#figure-pending .number').innerText();
  say('open');

  await shows(page, told.cell, told.pending[0]);
  await overview.page.waitForFunction(
    total => document.querySelector('#figure-pending .number').innerText !== total, total);
  const text = await page.evaluate(() => document.activeElement.id === 'q' && document.activeElement.value);
  must(text === 'half a word', `what was being typed became ${text}`);
  say('updated', { faults: [...overview.complaints, ...consumers.complaints] });

  await turn(page, 'hidden');
  await sign(page, 'paused');
  while (streams.size > 0) await page.waitForTimeout(20);
  say('hidden');
  await known(Number(told.pending[1]));
  await shows(overview.page, '#live', 'live');
  const seen = await page.locator(told.cell).innerText();
  must(seen.trim() === told.pending[0], `a hidden tab went on to ${seen}`);
  await turn(page, 'visible');
  await shows(page, told.cell, told.pending[1]);
  await sign(page, 'live');
  must(streams.size === 1, `a tab that is back follows ${streams.size} streams`);
  say('shown', { faults: [...overview.complaints, ...consumers.complaints] });

  for (const { page } of tabs) await sign(page, 'stale');
  say('stale');
  for (const { page } of tabs) await sign(page, 'live');
  say('fresh');

  for (const { page } of tabs) await sign(page, 'disconnected');
  say('disconnected', { words: await page.locator('#live').innerText() });
  for (const { page } of tabs) await sign(page, 'live');
  await shows(page, told.cell, told.pending[2]);
  for (const { page } of tabs) must(await page.evaluate(() => window.wasHere), 'the page was loaded anew');
  say('back');
});
