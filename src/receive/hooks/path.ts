// A small path language over JSON: `$.a.b[0]["odd key"]` from the item, `$$.a` from the whole payload.

export interface Path {
  /** As it was written. */
  readonly text: string
  /** Begins at the whole payload, not at the item. */
  readonly whole: boolean
  readonly steps: readonly (string | number)[]
}

const step = /^(?:\.([A-Za-z_][\w-]*)|\[(\d{1,6})\]|\["((?:[^"\\]|\\.)*)"\])/

/** Reads a path; a text that says what is wrong where it is none. */
export const parsePath = (text: string): Path | string => {
  const head = /^\$\$?/.exec(text)?.[0]
  if (head === undefined)
    return `${JSON.stringify(text)} is no path: it begins with $ (the item) or $$ (the whole payload)`
  const steps: (string | number)[] = []
  let rest = text.slice(head.length)
  while (rest !== '') {
    const m = step.exec(rest)
    if (!m) return `path ${text} cannot be read at ${JSON.stringify(rest)}: write .name, [0] or ["any name"]`
    steps.push(m[1] ?? (m[2] === undefined ? m[3]!.replaceAll(/\\(.)/g, '$1') : Number(m[2])))
    rest = rest.slice(m[0].length)
  }
  return { text, whole: head === '$$', steps }
}

/** The value at a path; undefined where there is none. Only what the payload holds itself is found. */
export const readPath = (path: Path, item: unknown, payload: unknown): unknown => {
  let value = path.whole ? payload : item
  for (const key of path.steps) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string | number, unknown>)[key]
  }
  return value
}
