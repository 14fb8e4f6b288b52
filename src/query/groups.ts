// Which group of an aggregation or a match each series falls into: numbered once per series, never per step.
import { type Labels, labelOf, metricName, pick, withoutName } from '../model/labels.ts'

const separator = '\u00ff'

/** A text that is the same for two label sets when they agree in the labels named (`keep`) or in all but those. */
export const keyer = (names: readonly string[], keep: boolean): ((labels: Labels) => string) => {
  if (keep) {
    const [only] = names
    if (only === undefined) return () => ''
    if (names.length === 1) return (labels) => labelOf(labels, only)
    return (labels) => {
      let key = ''
      for (const name of names) key += labelOf(labels, name) + separator
      return key
    }
  }
  const left = new Set([...names, metricName])
  return (labels) => {
    let key = ''
    for (let i = 0; i < labels.length; i += 2)
      if (!left.has(labels[i]!)) key += labels[i]! + separator + labels[i + 1]! + separator
    return key
  }
}

/** Numbers the groups of an aggregation from 0 in the order first seen. */
export class Groups {
  readonly labels: Labels[] = []
  /** Whether groups may carry a metric name. */
  readonly named: boolean
  readonly #ids = new Map<string, number>()
  readonly #key: (labels: Labels) => string
  readonly #names: ReadonlySet<string>
  readonly #without: boolean
  readonly #nameless: boolean

  /** `nameless`: the series' metric name counts as dropped, so grouping by it finds nothing. */
  constructor(grouping: readonly string[], without: boolean, nameless: boolean) {
    this.#without = without
    this.named = !without && grouping.includes(metricName)
    this.#nameless = nameless && !without && grouping.includes(metricName)
    this.#key = keyer(grouping, !without)
    this.#names = new Set(without ? [...grouping, metricName] : grouping)
  }

  idOf(given: Labels): number {
    const labels = this.#nameless ? withoutName(given) : given
    const key = this.#key(labels)
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.labels.length
    this.#ids.set(key, id)
    this.labels.push(pick(labels, this.#names, !this.#without))
    return id
  }
}
