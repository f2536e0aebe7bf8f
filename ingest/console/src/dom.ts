// Elements without a framework: made once, then only what changed is written.

type Child = Node | string | null | undefined | false;
type Properties = Record<string, string | number | boolean | null | undefined | ((event: Event) => void)>;

/** An element. Properties that begin with "on" are listeners, the others attributes; null and false leave them out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K, properties: Properties = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as T;
}

/** Writes a text when it is another one, so that a selection and a reader's place stay. */
export function write(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function attribute(element: Element, name: string, value: string | null): void {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== value) {
    element.setAttribute(name, value);
  }
}

/** A share from 0 to 1 as a bar's width. By the CSSOM: the page's policy allows no style attributes. */
export function share(element: HTMLElement, name: string, value: number): void {
  element.style.setProperty(name, `${(Math.min(Math.max(value, 0), 1) * 100).toFixed(2)}%`);
}

/** Rows that stay the same elements while what they show changes. */
export class Rows<T> {
  private readonly known = new Map<string, HTMLElement>();

  constructor(private readonly parent: HTMLElement, private readonly key: (item: T) => string,
              private readonly make: (item: T) => HTMLElement,
              private readonly update: (row: HTMLElement, item: T) => void) {}

  show(items: T[]): void {
    const wanted = new Set(items.map(this.key));
    for (const [key, row] of this.known) {
      if (wanted.has(key)) continue;
      row.remove();
      this.known.delete(key);
    }
    let place: Element | null = this.parent.firstElementChild;
    for (const item of items) {
      const key = this.key(item);
      let row = this.known.get(key);
      if (!row) this.known.set(key, row = this.make(item));
      this.update(row, item);
      if (row === place) place = place.nextElementSibling;
      else this.parent.insertBefore(row, place);
    }
  }
}

/** The element with this data-part in a row. */
export function part(row: HTMLElement, name: string): HTMLElement {
  const found = row.querySelector<HTMLElement>(`[data-part="${name}"]`);
  if (!found) throw new Error(`a row has no part ${name}`);
  return found;
}
