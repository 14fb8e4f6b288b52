// How a plot writes values and dresses series: one writer a unit, a hue by hash, a dash where two meet.

const thin = '\u202f'
const significant = (n: number): string => {
  const a = Math.abs(n)
  return a >= 100 ? n.toFixed(0) : a >= 10 ? n.toFixed(1) : n.toFixed(2)
}
const trim = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text)
const count = (v: number): string => {
  const a = Math.abs(v)
  if (a >= 1e9) return `${trim(significant(v / 1e9))}${thin}G`
  if (a >= 1e6) return `${trim(significant(v / 1e6))}${thin}M`
  if (a >= 1e4) return `${trim(significant(v / 1e3))}${thin}k`
  if (a >= 100 || Number.isInteger(v)) return v.toLocaleString('en-US', { maximumFractionDigits: 0 })
  return a >= 1 || a === 0 ? trim(significant(v)) : String(Number(v.toPrecision(3)))
}
const binary = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
const bytes = (v: number): string => {
  const power = Math.min(binary.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(Math.abs(v), 1)) / 10)))
  const n = v / 1024 ** power
  return `${power === 0 ? n.toFixed(0) : trim(significant(n))}${thin}${binary[power]}`
}
const percent = (v: number, fine: boolean, step: number): string => {
  const digits = fine ? (v > 0.99 && v < 1 ? 2 : 1) : step < 0.001 ? 2 : step < 0.01 ? 1 : 0
  return `${(v * 100).toFixed(digits)}${thin}%`
}
const seconds = (v: number): string => {
  const a = Math.abs(v)
  if (a > 0 && a < 0.001) return `${trim((v * 1e6).toFixed(1))}${thin}µs`
  if (a < 1) return `${trim((v * 1000).toFixed(a < 0.01 ? 1 : 0))}${thin}ms`
  if (a < 120) return `${trim(v.toFixed(1))}${thin}s`
  return a < 7200 ? `${trim((v / 60).toFixed(1))}${thin}min` : `${trim((v / 3600).toFixed(1))}${thin}h`
}
const usd = (v: number, fine: boolean): string => {
  const a = Math.abs(v)
  const digits = a >= 100 ? 0 : a >= 1 || a === 0 ? 2 : 4
  return `${v < 0 ? '−' : ''}$${a.toLocaleString('en-US', fine ? { minimumFractionDigits: digits, maximumFractionDigits: digits } : { maximumFractionDigits: digits })}`
}

export type Writer = (v: number, fine: boolean, step?: number) => string
const writers: Readonly<Record<string, Writer>> = {
  count,
  bytes,
  seconds,
  usd,
  ratio: (v, fine, step = 0.01) => percent(v, fine, step),
}
export const writerOf = (unit: string, suffix = ''): Writer => {
  const write = writers[unit] ?? count
  return suffix ? (v, fine, step) => `${write(v, fine, step)}${suffix}` : write
}

/** FNV-1a over the sorted label set: the same series has the same colour on every page, on every visit, for everyone. */
export const hash = (text: string): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0
  return h
}

export interface Dress {
  readonly hue: number
  readonly dash: readonly number[]
}
const dashes: readonly (readonly number[])[] = [[], [6, 3], [2, 3], [8, 3, 2, 3]]
/** Hash picks the hue; where two series of one plot meet on a hue, the later in label order takes the next dash. */
export const dress = (keys: readonly string[]): Map<string, Dress> => {
  const met = new Map<number, number>()
  return new Map(
    [...keys].sort().map((key): [string, Dress] => {
      const h = hash(key)
      // FNV's low bits hardly mix: the high ones are folded in.
      const hue = (h ^ (h >>> 11) ^ (h >>> 22)) & 7
      const turn = met.get(hue) ?? 0
      met.set(hue, turn + 1)
      return [key, { hue, dash: dashes[turn % dashes.length]! }]
    }),
  )
}
