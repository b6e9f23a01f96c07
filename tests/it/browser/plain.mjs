// Reads every page with scripts off, and searches as one does without them.

import { must, open, say, tab, told, withBrowser } from './tab.mjs';

await withBrowser(async browser => {
  const one = await tab(browser, { javaScriptEnabled: false, viewport: { width: 320, height: 800 } });
  for (const { path, status } of told.pages) {
    await open(one, path, status);
    must(await one.page.locator('h1').isVisible(), `${path} has no heading`);
    const rows = await one.page.locator('tbody tr, .findings > li, .records > li').filter({ visible: true }).allInnerTexts();
    say(path, { text: await one.page.locator('body').innerText(), rows, faults: [...one.complaints] });
  }

  await open(one, '/consumers');
  await one.page.locator('#q').fill('idle');
  await one.page.getByRole('button', { name: 'Show' }).click();
  await one.page.waitForURL('**/consumers?*q=idle*');
  const rows = await one.page.locator('#consumers tbody th').allInnerTexts();
  say('searched', { rows, faults: [...one.complaints] });
});
