/** The element of the page with this id. */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`There is no #${id} on the page.`);
  return element;
}

/** A new element. Text is set as text, whatever is in it. */
export function make(tag, { className, text, data = {}, attributes = {} } = {}, children = []) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Writes only what is new, so that nothing is selected or read out anew for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
