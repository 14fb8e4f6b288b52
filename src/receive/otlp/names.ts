// OpenTelemetry names become Prometheus names: characters, unit words, `_total`, `_ratio`, by the rules of Prometheus's OTLP receiver.
// Rules: OpenTelemetry's "Prometheus and OpenMetrics Compatibility"; github.com/prometheus/otlptranslator.

export type TranslationStrategy =
  | 'UnderscoreEscapingWithSuffixes'
  | 'UnderscoreEscapingWithoutSuffixes'
  | 'NoUTF8EscapingWithSuffixes'
  | 'NoTranslation'

export type MetricKind = 'gauge' | 'monotonic' | 'updown' | 'histogram' | 'exponential' | 'summary'

const unitWords = new Map([
  ['d', 'days'],
  ['h', 'hours'],
  ['min', 'minutes'],
  ['s', 'seconds'],
  ['ms', 'milliseconds'],
  ['us', 'microseconds'],
  ['ns', 'nanoseconds'],
  ['By', 'bytes'],
  ['KiBy', 'kibibytes'],
  ['MiBy', 'mebibytes'],
  ['GiBy', 'gibibytes'],
  ['TiBy', 'tibibytes'],
  ['KBy', 'kilobytes'],
  ['MBy', 'megabytes'],
  ['GBy', 'gigabytes'],
  ['TBy', 'terabytes'],
  ['m', 'meters'],
  ['V', 'volts'],
  ['A', 'amperes'],
  ['J', 'joules'],
  ['W', 'watts'],
  ['g', 'grams'],
  ['Cel', 'celsius'],
  ['Hz', 'hertz'],
  ['1', ''],
  ['%', 'percent'],
])

const perWords = new Map([
  ['s', 'second'],
  ['m', 'minute'],
  ['h', 'hour'],
  ['d', 'day'],
  ['w', 'week'],
  ['mo', 'month'],
  ['y', 'year'],
])

const word = (unit: string, words: ReadonlyMap<string, string>): string => {
  const bare = unit.trim()
  // Annotations such as {request} name no unit.
  return bare === '' || /[{}]/.test(bare) ? '' : (words.get(bare) ?? bare)
}

/** The words of a unit: `By/s` → `bytes`, `per_second`. */
const unitSuffixes = (unit: string): { main: string; per: string } => {
  const slash = unit.indexOf('/')
  const main = word(slash < 0 ? unit : unit.slice(0, slash), unitWords)
  const per = slash < 0 ? '' : word(unit.slice(slash + 1), perWords)
  return { main, per: per === '' ? '' : `per_${per}` }
}

const cleanUnit = (unit: string): string => unit.replace(/[^a-zA-Z0-9:]+/g, '_').replace(/^_/, '')

const digitFirst = (name: string): boolean => /^[0-9]/.test(name)

const escapedWithSuffixes = (name: string, unit: string, kind: MetricKind): string => {
  let tokens = name.split(/[^a-zA-Z0-9:]+/).filter((token) => token !== '')
  const suffixes = unitSuffixes(unit)
  const main = cleanUnit(suffixes.main).replace(suffixes.per === '' ? /(?!)/ : /_$/, '')
  const per = cleanUnit(suffixes.per).replace(/_$/, '')
  const addMain = main !== '' && !tokens.includes(main)
  const addPer = per !== '' && per !== 'per' && !tokens.includes(per)
  if (addMain) tokens.push(main)
  if (addPer) tokens.push(per)
  if (kind === 'monotonic') tokens = [...tokens.filter((token) => token !== 'total'), 'total']
  if (unit === '1' && kind === 'gauge') tokens = [...tokens.filter((token) => token !== 'ratio'), 'ratio']
  const joined = tokens.join('_')
  return digitFirst(joined) ? `_${joined}` : joined
}

const escapedBare = (name: string): string => {
  const joined = name
    .split(/[^a-zA-Z0-9:_]+/)
    .filter((part) => part !== '')
    .join('_')
  return digitFirst(joined) ? `_${joined}` : joined
}

/** Without a trailing `suffix` and the delimiter before it. */
const without = (name: string, suffix: string): string =>
  name.endsWith(suffix) && name.length > suffix.length + 1 ? name.slice(0, -(suffix.length + 1)) : name

const plainWithSuffixes = (name: string, unit: string, kind: MetricKind): string => {
  const { main, per } = unitSuffixes(unit)
  let stem = name
  let tail = ''
  if (unit === '1' && kind === 'gauge') {
    stem = without(stem, 'ratio')
    tail = '_ratio'
  }
  if (kind === 'monotonic') {
    stem = without(stem, 'total')
    tail = `_total${tail}`
  }
  if (per !== '') {
    stem = without(stem, per)
    tail = `_${per}${tail}`
  }
  if (main !== '' && !stem.endsWith(main)) stem += `_${main}`
  return stem + tail
}

/** The metric family's name; '' where nothing valid is left of it. */
export const metricFamily = (
  name: string,
  unit: string,
  kind: MetricKind,
  strategy: TranslationStrategy,
): string => {
  if (name === '') return ''
  if (strategy === 'NoTranslation') return name
  if (strategy === 'NoUTF8EscapingWithSuffixes') return plainWithSuffixes(name, unit, kind)
  const escaped =
    strategy === 'UnderscoreEscapingWithSuffixes' ? escapedWithSuffixes(name, unit, kind) : escapedBare(name)
  return escaped !== name && /^_*$/.test(escaped) ? '' : escaped
}

export interface LabelNaming {
  readonly strategy: TranslationStrategy
  /** Puts `key` before a name that begins with one underscore. */
  readonly underscoreSanitization: boolean
  readonly preserveMultipleUnderscores: boolean
}

/** A label's name; '' where nothing valid is left of it. */
export const labelName = (key: string, naming: LabelNaming): string => {
  if (key === '' || naming.strategy === 'NoUTF8EscapingWithSuffixes' || naming.strategy === 'NoTranslation')
    return key
  const name = naming.preserveMultipleUnderscores
    ? key.replace(/[^a-zA-Z0-9_]/gu, '_')
    : collapse(key.replace(/[^a-zA-Z0-9_]/gu, '_'))
  if (name !== key && /^_*$/.test(name)) return ''
  if (digitFirst(name)) return `key_${name}`
  if (naming.underscoreSanitization && name.startsWith('_') && !name.startsWith('__')) return `key${name}`
  return name
}

/** Runs of underscores become one; reserved names (`__x__`) keep their frame. */
const collapse = (name: string): string => {
  const reserved = /^__(.+)__$/.exec(name)
  const inner = (reserved?.[1] ?? name).replace(/_{2,}/g, '_')
  return reserved ? `__${inner}__` : inner
}

/** A float as Go's 'f' format with the fewest digits: never an exponent, so that `le` reads as Prometheus writes it. */
export const plainFloat = (value: number): string => {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  const text = String(value)
  const m = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text)
  if (!m) return text
  const [, sign = '', head = '', rest = '', power = '0'] = m
  const digits = head + rest
  const exponent = Number(power)
  return exponent < 0
    ? `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
    : `${sign}${digits.padEnd(exponent + 1, '0')}`
}
