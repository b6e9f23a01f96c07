// What the keyboard and the clipboard add: `/` goes to the search, and a text that is there to be copied gets a button.

document.addEventListener('keydown', event => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest('input, textarea, select, [contenteditable]')) return;
  const field = document.getElementById('q');
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
});

// Buttons stand beside texts that can be seen: what is folded away gets its own when it is opened.
function buttons() {
  for (const code of document.querySelectorAll('code[data-copy]')) {
    if (code.closest('details:not([open])') || code.nextElementSibling?.matches('.copy')) continue;
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'copy';
    button.dataset.own = 'copy';
    button.textContent = 'Copy';
    button.setAttribute('aria-label', `Copy ${code.textContent}`);
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = 'Copy'; }, 1500);
    });
    code.after(button);
  }
}

if (navigator.clipboard) {
  document.addEventListener('toggle', buttons, true);
  document.addEventListener('patched', buttons);
  buttons();
}
