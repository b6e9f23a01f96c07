// What the scripts share: the browser, tabs that remember what went wrong in them, and lines of JSON on standard output.

import { createRequire } from 'node:module';

export const require = createRequire(import.meta.url); // finds what NODE_PATH names, which `import` does not
export const told = JSON.parse(process.argv[2]);

const LIMIT = 60_000; // for every wait: longer than any takes on a machine that does much else

export function say(at, what = {}) {
  process.stdout.write(`${JSON.stringify({ at, ...what })}\n`);
}

export function must(holds, why) {
  if (!holds) throw new Error(why);
}

// Runs `work` with a browser that is gone afterwards. It sees pages of ours alone, and has no sandbox: root could not have one.
export async function withBrowser(work) {
  const { chromium } = require('playwright-core');
  const browser = await chromium.launch({ executablePath: told.chromium });
  try {
    await work(browser);
  } finally {
    await browser.close();
  }
}

// A tab of its own, with a list of what the console, scripts and the page's policy complained of.
export async function tab(browser, options = {}) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options }); // nothing is drawn that nobody asks for
  context.setDefaultTimeout(LIMIT);
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', error => complaints.push({ by: 'script', said: String(error) }));
  page.on('console', message => {
    const type = message.type();
    if (type === 'error' || type === 'warning') complaints.push({ by: 'console', said: message.text() });
  });
  return { page, complaints };
}

// Opens a page; what it complains of that is not what was asked for stays in the list.
export async function open({ page, complaints }, path, status = 200) {
  complaints.length = 0;
  const answer = await page.goto(told.home + path);
  must(answer.status() === status, `${path} was answered with ${answer.status()}`);
  if (status === 200) return;
  const at = complaints.findIndex(({ said }) => said.includes(`status of ${status}`));
  if (at >= 0) complaints.splice(at, 1);
}
