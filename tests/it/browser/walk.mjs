// From the dashboard to a lagging consumer, a message that it has not processed, its trace, the span that handled it, and back to the
// message: once by clicks and once by the keyboard alone, over links of the pages.

import { tabTo } from './keys.mjs';
import { open, say, tab, told, withBrowser } from './tab.mjs';

const MESSAGE = /^\/messages\/[^/]+\/[^/]+\/\d+$/;

// Where each step leads, beginning on the dashboard.
const STEPS = [
  ['the consumer', href => href === told.consumer],
  ['its messages', href => href.startsWith('/messages/') && !MESSAGE.test(href)],
  ['a message', href => MESSAGE.test(href)],
  ['its trace', href => href.startsWith('/traces/')],
];

const BY = {
  clicks: (page, _, href) => page.locator(`main a[href="${href}"]`).first().click(),
  keyboard: async (page, what, href) => {
    await tabTo(page, what, place => place.place === 'main' && place.href === href);
    await page.keyboard.press('Enter');
  },
};

// The first link within `place` of which `is` says yes, as soon as there is one: pages are live.
async function link(page, place, is) {
  const links = page.locator(`${place} a[href]`);
  for (;;) {
    await links.first().waitFor();
    const hrefs = await links.evaluateAll(all => all.map(one => one.getAttribute('href')));
    const found = hrefs.find(is);
    if (found) return found;
    await page.evaluate(() => new Promise(done => { document.addEventListener('patched', done, { once: true }); }));
  }
}

async function follow({ page }, by, what, href) {
  await BY[by](page, what, href);
  await page.waitForURL(url => url.href === new URL(href, told.home).href);
}

await withBrowser(async browser => {
  const walkers = [];
  for (const by of Object.keys(BY)) {
    const one = await tab(browser);
    await open(one, '/');
    const went = [];
    for (const [what, is] of STEPS) {
      const href = await link(one.page, 'main', is);
      await follow(one, by, what, href);
      went.push(href);
    }
    walkers.push({ by, one, went, before: await one.page.locator('#hops tbody tr').allInnerTexts() });
  }
  say('waiting', { walkers: walkers.map(({ by, went, before }) => ({ by, went, before })) });

  // The service is back, and the page of the trace tells so by itself.
  for (const { by, one, went } of walkers) {
    const { page } = one;
    const hop = page.locator('#hops tbody tr', { hasText: told.durable });
    await hop.waitFor();
    const cell = label => hop.locator(`td[data-label="${label}"]`).innerText();
    const [waiting, processing] = [await cell('Confirmed to handler'), await cell('Processing')];
    const span = await hop.locator('a').getAttribute('href');
    const drawn = page.locator(`#spans li:has(a[href="${span}"]) rect`);
    const widths = await drawn.evaluateAll(all => all.map(one => [one.getAttribute('class'), Number(one.getAttribute('width'))]));
    await follow(one, by, 'the span', span);
    const message = await link(page, '#chosen', href => MESSAGE.test(href));
    await follow(one, by, 'the message', message);
    const faults = [...one.complaints];
    say('walked', { by, waiting, processing, widths, left: went[2], message, heading: await page.locator('h1').innerText(), faults });
  }
});
