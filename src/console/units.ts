// Units that senders name and the console has no words of its own for: symbols and scales from Grafana's value formats.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

interface Formatted {
  readonly text: string
  readonly prefix?: string
  readonly suffix?: string
}
interface ValueFormats {
  getValueFormat(id: string): (value: number, decimals?: number) => Formatted
}

/** Names by OpenMetrics, UCUM and Prometheus's habits → Grafana's. */
const ids: Readonly<Record<string, string>> = {
  celsius: 'celsius',
  Cel: 'celsius',
  fahrenheit: 'fahrenheit',
  kelvin: 'kelvin',
  hertz: 'hertz',
  Hz: 'hertz',
  volts: 'volt',
  V: 'volt',
  amperes: 'amp',
  A: 'amp',
  watts: 'watt',
  W: 'watt',
  joules: 'joule',
  J: 'joule',
  meters: 'lengthm',
  m: 'lengthm',
  grams: 'massg',
  g: 'massg',
  bits: 'bits',
  bit: 'bits',
  percent: 'percent',
  '%': 'percent',
  milliseconds: 'ms',
  ms: 'ms',
  microseconds: 'µs',
  us: 'µs',
  nanoseconds: 'ns',
  ns: 'ns',
  minutes: 'm',
  min: 'm',
  hours: 'h',
  h: 'h',
  days: 'd',
  d: 'd',
}

let loaded: ValueFormats | null = null
const formats = (): ValueFormats => {
  if (loaded) return loaded
  const require = createRequire(import.meta.url)
  const root = dirname(require.resolve('@grafana/data/package.json'))
  // The formats alone load in a twentieth of the time and memory of the whole package.
  const alone = join(root, 'dist/cjs/valueFormats/valueFormats.cjs')
  loaded = require(existsSync(alone) ? alone : '@grafana/data') as ValueFormats
  return loaded
}

export interface NamedUnit {
  readonly write: (value: number) => string
  /** Stands behind a number on a plot's ticks. */
  readonly symbol: string
}

/** A unit by the name a sender gave it; null where nobody knows it. Loads the formats at the first one that is known. */
export const namedUnit = (name: string): NamedUnit | null => {
  const id = ids[name]
  if (!id) return null
  const format = formats().getValueFormat(id)
  return {
    write: (value) => {
      if (!Number.isFinite(value)) return '-'
      const { prefix = '', text, suffix = '' } = format(value)
      return `${prefix}${text}${suffix.replace(/^ /, '\u202f')}`
    },
    symbol: (format(1).suffix ?? '').replace(/^ /, '\u202f'),
  }
}
