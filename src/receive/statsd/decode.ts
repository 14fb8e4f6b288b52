// One line of StatsD or DogStatsD: name, values, type, sampling, tags, time.

export type StatsdType = 'c' | 'g' | 'ms' | 'h' | 'd' | 's'

/** One sample of a line; the same object is handed out again and again. */
export interface Sample {
  name: string
  type: StatsdType
  /** Empty for a set. */
  values: number[]
  /** Of a set. */
  member: string
  /** A gauge that is moved, not set: its value was written with a sign. */
  relative: boolean
  /** Of how many one was sent: 0.1 is every tenth. */
  rate: number
  /** As they stand behind `|#`, '' for none. */
  tags: string
  /** Milliseconds, where the line brings a time. */
  at: number | null
}

export type Fault =
  | 'no_name'
  | 'no_value'
  | 'no_type'
  | 'bad_type'
  | 'bad_value'
  | 'bad_sample_rate'
  | 'bad_time'
  | 'bad_field'
  | 'negative_counter'
  | 'too_long'
  | 'bad_utf8'
/** Well-formed, and not taken. */
export type Unsupported = 'event' | 'service_check'

const longest = 8192
const types: ReadonlySet<string> = new Set(['c', 'g', 'ms', 'h', 'd', 's'])
const number = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
/** Fields that say where a metric came from, which is no label here: container, external data, cardinality. */
const origin = /^(?:c|e|card):/

export interface LineHandler {
  sample(sample: Sample): void
  fault(fault: Fault): void
  unsupported(what: Unsupported): void
}

/** Sums of numbers up to here stay finite: what is infinite once is so for good, and then no number at all. */
const largest = 1e250

const values = (text: string, into: number[]): boolean => {
  into.length = 0
  for (const part of text.split(':')) {
    if (!number.test(part)) return false
    const value = Number(part)
    if (!(Math.abs(value) <= largest)) return false
    into.push(value)
  }
  return true
}

/** Reads lines, and tells each sample and each fault. */
export class LineReader {
  readonly #handler: LineHandler
  readonly #sample: Sample = {
    name: '',
    type: 'c',
    values: [],
    member: '',
    relative: false,
    rate: 1,
    tags: '',
    at: null,
  }

  constructor(handler: LineHandler) {
    this.#handler = handler
  }

  read(line: string): void {
    const handler = this.#handler
    const colon = line.indexOf(':')
    if (line.length > longest) handler.fault('too_long')
    else if (line.startsWith('_e{')) handler.unsupported('event')
    else if (line.startsWith('_sc|')) handler.unsupported('service_check')
    else if (colon <= 0) handler.fault(colon === 0 ? 'no_name' : 'no_value')
    else this.#parts(line.slice(0, colon), line.slice(colon + 1))
  }

  #parts(name: string, rest: string): void {
    this.#sample.name = name
    // Etsy's form of several samples: `name:1|c:320|ms`. In DogStatsD's a colon is part of a tag, or between packed values.
    const parts = rest.includes('|#') ? [rest] : rest.split(':')
    const several = parts.length > 1 && parts.every((part) => part.includes('|'))
    for (const part of several ? parts : [rest]) {
      const fault = this.#part(part)
      if (fault) this.#handler.fault(fault)
      else this.#handler.sample(this.#sample)
    }
  }

  #part(text: string): Fault | null {
    const s = this.#sample
    const [value = '', type, ...fields] = text.split('|')
    if (value === '') return 'no_value'
    if (type === undefined || type === '') return 'no_type'
    if (!types.has(type)) return 'bad_type'
    s.type = type as StatsdType
    s.member = type === 's' ? value : ''
    s.values.length = 0
    if (type !== 's' && !values(value, s.values)) return 'bad_value'
    s.relative = type === 'g' && /^[+-]/.test(value)
    s.rate = 1
    s.tags = ''
    s.at = null
    for (const field of fields) {
      const fault = this.#field(field)
      if (fault) return fault
    }
    if (s.values.some((v) => !(Math.abs(v) / s.rate <= largest))) return 'bad_value'
    return type === 'c' && s.values.some((v) => v < 0) ? 'negative_counter' : null
  }

  #field(field: string): Fault | null {
    const s = this.#sample
    if (field.startsWith('@')) {
      const rate = number.test(field.slice(1)) ? Number(field.slice(1)) : Number.NaN
      if (!(rate > 0 && rate <= 1 && 1 / rate <= largest)) return 'bad_sample_rate'
      s.rate = rate
    } else if (field.startsWith('#')) s.tags = field.slice(1)
    else if (field.startsWith('T')) {
      if (!/^T\d{1,11}$/.test(field)) return 'bad_time'
      s.at = Number(field.slice(1)) * 1000
    } else if (!origin.test(field)) return 'bad_field'
    return null
  }
}

/** A name that Prometheus takes: any other sign is `_`, and a digit does not begin it. */
export const escapeName = (name: string): string => {
  const plain = name.replaceAll(/[^a-zA-Z0-9_]/g, '_')
  return /^\d/.test(plain) ? `_${plain}` : plain
}

/** Tags as labels; a tag without a value is `true`. Empty names are left out. */
export const labelsOfTags = (tags: string): Record<string, string> => {
  const out: Record<string, string> = {}
  if (tags === '') return out
  for (const tag of tags.split(',')) {
    const colon = tag.indexOf(':')
    const name = escapeName(colon < 0 ? tag : tag.slice(0, colon))
    if (name !== '' && !name.startsWith('__')) out[name] = colon < 0 ? 'true' : tag.slice(colon + 1)
  }
  return out
}
