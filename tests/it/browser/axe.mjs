// Judges every page in both colour schemes and at both widths: axe-core, texts that are cut off or turned, and what the browser complains of.

import { open, require, say, tab, told, withBrowser } from './tab.mjs';

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
const { source } = require('axe-core');

// Folds everything open, with the buttons that come with it.
async function unfold(page) {
  await page.evaluate(() => { for (const fold of document.querySelectorAll('details')) fold.open = true; });
  await page.waitForFunction(() => {
    const codes = [...document.querySelectorAll('code[data-copy]')];
    return codes.every(code => code.nextElementSibling?.matches('.copy'));
  });
}

// Every rule of the tags. That on the size of targets is off by default, and runs where it is asked for by name.
async function violations(tags) {
  const rules = { 'target-size': { enabled: true } };
  const found = await axe.run(document, { runOnly: tags, rules, resultTypes: ['violations'] });
  return found.violations.map(({ id, help, nodes }) => {
    const where = nodes.slice(0, 3).map(({ target, html, failureSummary }) => ({ target, html: html.slice(0, 300), failureSummary }));
    return { by: 'axe', said: `${id}: ${help}`, count: nodes.length, where };
  });
}

// A page that scrolls sideways, and text that its box hides without a sign.
function cutOff() {
  const named = element => `${element.localName}#${element.id}.${element.className}`;
  const faults = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const wide = [...document.querySelectorAll('body *')].filter(element => element.getBoundingClientRect().right > root.clientWidth);
    faults.push({ by: 'cut', said: `the page is ${root.scrollWidth} wide`, where: wide.slice(0, 5).map(named) });
  }
  for (const element of document.querySelectorAll('body *')) {
    const { overflowX, textOverflow } = getComputedStyle(element);
    const hides = overflowX !== 'visible' && textOverflow !== 'ellipsis' && !element.matches('.unseen, .skip, svg, svg *');
    if (hides && element.scrollWidth > element.clientWidth) {
      faults.push({ by: 'cut', said: `${named(element)} hides ${element.scrollWidth - element.clientWidth} px` });
    }
  }
  return faults;
}

// Text that turns the direction of writing, and takes other text than itself with it.
function turned() {
  const isolates = ({ display, unicodeBidi }) => display !== 'inline' || unicodeBidi.startsWith('isolate') || unicodeBidi === 'plaintext';
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT, text =>
    text.data.includes('\u202e') ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_SKIP);
  const faults = [];
  while (texts.nextNode()) {
    const text = texts.currentNode;
    let box = text.parentElement;
    while (!isolates(getComputedStyle(box))) box = box.parentElement;
    const rest = document.createRange();
    rest.setStartAfter(text);
    rest.setEndAfter(box.lastChild);
    if (!rest.toString().trim()) continue;
    faults.push({ by: 'turned', said: `${box.localName}.${box.className}: ${rest}`.slice(0, 300) });
  }
  return faults;
}

async function judge(at, { page, complaints }) {
  const own = [...await page.evaluate(cutOff), ...await page.evaluate(turned)];
  const faults = [...await page.evaluate(violations, TAGS), ...own, ...complaints];
  say(at, { faults });
}

// A tab of this width, in which pages find the judge at hand.
async function judged(browser, width) {
  const one = await tab(browser, { viewport: { width, height: 800 } });
  await one.page.addInitScript(source);
  return one;
}

async function walk(browser, width) {
  const one = await judged(browser, width);
  for (const { path, status } of told.pages) {
    await open(one, path, status);
    await unfold(one.page);
    for (const colorScheme of told.schemes) {
      await one.page.emulateMedia({ colorScheme });
      await judge(`${path} ${colorScheme} ${width}`, one);
    }
  }
}

// What is looked for has to be found where it is.
async function spoil(browser) {
  const one = await judged(browser, 320);
  await open(one, '/');
  await one.page.evaluate(() => {
    const image = document.createElement('img');
    const text = document.createElement('pre');
    text.textContent = `${'wide '.repeat(100)}\u202e`;
    text.append(document.createElement('b'), 'turned');
    document.getElementById('main').after(image, text); // where no update reaches them
    image.setAttribute('style', 'color: red'); // which the policy forbids
  });
  await judge('spoilt', one);
}

await withBrowser(async browser => {
  await Promise.all(told.widths.map(width => walk(browser, width)));
  await spoil(browser);
});
