// Small ways to reach and make elements; everything is made of nodes, never of markup in text.

export const one = <T extends HTMLElement>(query: string, from: ParentNode = document): T | null =>
  from.querySelector<T>(query)
export const all = <T extends HTMLElement>(query: string, from: ParentNode = document): T[] => [
  ...from.querySelectorAll<T>(query),
]

type Child = Node | string | null | undefined
export const make = (
  name: string,
  attributes: Readonly<Record<string, string>> = {},
  ...children: Child[]
): HTMLElement => {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  for (const child of children) if (child !== null && child !== undefined) element.append(child)
  return element
}

const svgSpace = 'http://www.w3.org/2000/svg'
export const svg = (
  name: string,
  attributes: Readonly<Record<string, string>>,
  ...children: Node[]
): SVGElement => {
  const element = document.createElementNS(svgSpace, name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  element.append(...children)
  return element
}

/** A shape of the page's sprite. */
export const shape = (id: string): SVGElement =>
  svg('svg', { viewBox: '0 0 16 16', class: 'icon', 'aria-hidden': 'true' }, svg('use', { href: `#${id}` }))

export const state = (kind: string, word: string): HTMLElement =>
  make('span', { class: `state ${kind}` }, shape(`s-${kind}`), make('span', {}, word))
