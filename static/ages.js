// Lets the ages on the page grow between two rounds, in the words that the server uses; \xa0 ties a number to its unit.

let ahead = 0; // by how much our clock is ahead of the server's, in milliseconds

export function setClock(serverNow) {
  if (serverNow > 0) ahead = Date.now() - serverNow;
}

export const serverNow = () => Date.now() - ahead;

function words(seconds) {
  const two = (unit, name, part, partName) => {
    const rest = Math.floor(seconds % unit / part);
    return `${Math.floor(seconds / unit)}\xa0${name}` + (rest ? ` ${rest}\xa0${partName}` : '');
  };
  if (seconds < 60) return `${seconds}\xa0s`;
  if (seconds < 3600) return two(60, 'min', 1, 's');
  if (seconds < 86400) return two(3600, 'h', 60, 'min');
  return two(86400, 'd', 3600, 'h');
}

export function tick() {
  const now = serverNow();
  for (const time of document.querySelectorAll('time[data-tick]')) {
    const seconds = Math.max(0, Math.floor((now - Date.parse(time.dateTime)) / 1000));
    const isAgo = time.dataset.tick === 'ago';
    const text = isAgo ? (seconds ? `${words(seconds)} ago` : 'just now') : words(seconds);
    if (time.textContent !== text) time.textContent = text;
  }
}
