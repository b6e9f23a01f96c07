// The keyboard alone: what has the focus, and Tab until it is where it should be.

import { must } from './tab.mjs';

export const STEPS_MOST = 200; // more than any page has places that take the focus

// What has the focus, and whether somebody who looks at the page can tell.
export function focused() {
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

// Presses Tab until it is where `is` says.
export async function tabTo(page, what, is) {
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
