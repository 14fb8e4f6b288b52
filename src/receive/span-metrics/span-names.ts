// Span names as label values: few enough to be series, however many ids a service writes into them.

/** Hexadecimal runs of eight and more, numbers, and what is left of UUIDs. */
const ids = /[0-9a-f]{8}-[0-9a-f-]{4,}|\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b|\d+/gi

/** The name with everything that looks like an id replaced by `*`. */
export const withoutIds = (name: string): string => name.replace(ids, '*')

export const otherNames = '<other>'

/**
 * A service's names pass as they are until it has `most` of them; then new ones are taken without their ids, up to as many again, and after
 * that they are all `<other>`.
 */
export class SpanNames {
  readonly #most: number
  readonly #length: number
  readonly #known = new Map<string, Set<string>>()

  constructor(most: number, length: number) {
    this.#most = most
    this.#length = length
  }

  of(service: string, name: string): string {
    let names = this.#known.get(service)
    if (!names) {
      if (this.#known.size >= mostServices) return otherNames
      names = new Set()
      this.#known.set(service, names)
    }
    const short = cut(name, this.#length)
    if (names.has(short)) return short
    if (names.size < this.#most) {
      names.add(short)
      return short
    }
    const plain = withoutIds(short)
    if (names.has(plain)) return plain
    if (names.size >= this.#most * 2) return otherNames
    names.add(plain)
    return plain
  }

  save(): readonly (readonly [string, readonly string[]])[] {
    return [...this.#known].map(([service, names]) => [service, [...names]] as const)
  }
  load(saved: ReturnType<SpanNames['save']>): void {
    this.#known.clear()
    for (const [service, names] of saved) this.#known.set(service, new Set(names))
  }
}

const mostServices = 10_000

/** At most so many UTF-16 units, no character cut in two. */
export const cut = (text: string, length: number): string =>
  text.length <= length ? text : text.slice(0, length).toWellFormed()
