// Uses the pages by the keyboard alone, and looks at each step at what has the focus.

import { must, open, say, tab, told, withBrowser } from './tab.mjs';

const STEPS_MOST = 200; // more than any page has places that take the focus
const STEPS = 10; // between two questions whether it was all

// What has the focus, and whether somebody who looks at the page can tell.
function focused() {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
  const { left, top, right, bottom } = element.getClientRects()[0];
  const isMarked = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 && outlineColor !== 'rgba(0, 0, 0, 0)';
  const isInside = right > 0 && bottom > 0 && left < innerWidth && top < innerHeight;
  const over = document.elementFromPoint(Math.max(0, (left + right) / 2), (top + bottom) / 2);
  return {
    name: (element.getAttribute('aria-label') ?? element.innerText ?? '').trim() || element.id,
    href: element.getAttribute('href'),
    place: element.closest('nav[aria-label=Pages], .top, main')?.localName,
    isSeen: isMarked && isInside && Boolean(over) && (element.contains(over) || over.contains(element)),
  };
}

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

// Presses Tab until it is where `is` says.
async function tabTo(page, what, is) {
  for (let step = 0; step < STEPS_MOST; step += 1) {
    await page.keyboard.press('Tab');
    const place = await page.evaluate(focused);
    if (place && is(place)) {
      must(place.isSeen, `the focus on ${what} cannot be seen`);
      return place;
    }
  }
  throw new Error(`Tab never comes to ${what}`);
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
