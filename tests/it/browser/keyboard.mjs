// Uses the pages by the keyboard alone, and looks at each step at what has the focus.

import { focused, STEPS_MOST, tabTo } from './keys.mjs';
import { open, say, tab, told, withBrowser } from './tab.mjs';

const STEPS = 10; // between two questions whether it was all

// Every place that Tab comes to until it leaves the page. The page notes each before Tab goes on from there.
async function places(page) {
  await page.evaluate(() => { window.places = []; });
  for (let step = 0; step < STEPS_MOST; step += STEPS) {
    for (let at = 0; at < STEPS; at += 1) await page.keyboard.press('Tab');
    const found = await page.evaluate(() => window.places);
    const end = found.findIndex((place, at) => at > 1 && (!place || place.href === '#main'));
    if (end >= 0) return found.slice(1, end); // the first was noted before Tab went anywhere
  }
  throw new Error(`the focus is still on the page after ${STEPS_MOST} steps`);
}

// Each page is walked over where its head sticks to the top and could cover what has the focus.
async function walk(browser) {
  const one = await tab(browser);
  await one.page.addInitScript(`addEventListener('keydown', () => window.places.push((${focused})()), true)`);
  for (const { path, status } of told.pages) {
    await open(one, path, status);
    say(path, { places: await places(one.page) });
  }
}

await withBrowser(async browser => {
  await walk(browser);

  const one = await tab(browser);
  const { page } = one;
  await open(one, '/consumers');
  await tabTo(page, 'the skip link', ({ href }) => href === '#main');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  say('skipped', await page.evaluate(focused));

  // `/` goes to the search, Enter searches, and a row is opened.
  await tabTo(page, 'a row', ({ href }) => href === told.consumer);
  await page.keyboard.press('/');
  await page.waitForFunction(() => document.activeElement.id === 'q');
  await page.keyboard.type('mail');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/consumers?*q=mail*');
  const names = await page.locator('#consumers tbody th').allInnerTexts();
  await tabTo(page, 'the row', ({ href }) => href === told.consumer);
  // An update leaves the focus where it is.
  await page.evaluate(() => new Promise(done => { document.addEventListener('patched', done, { once: true }); }));
  say('updated', await page.evaluate(focused));
  await page.keyboard.press('Enter');
  await page.waitForURL(`**${told.consumer}`);
  say('opened', { names, heading: await page.locator('h1').innerText() });

  // A filter is a link among others.
  await open(one, '/consumers');
  await tabTo(page, 'the filter', ({ href }) => href?.includes('label=no_workers'));
  await page.keyboard.press('Enter');
  await page.waitForURL('**/consumers?*label=no_workers*');
  say('filtered', { names: await page.locator('#consumers tbody th').allInnerTexts(), faults: [...one.complaints] });
});
