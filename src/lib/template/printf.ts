// Go's fmt.Sprintf over plain values.
import { formatFloat } from './float.ts'
import { isEmpty, isRecord, show, showLeaf, stringer, typeName } from './value.ts'

interface Spec {
  readonly verb: string
  readonly plus: boolean
  readonly minus: boolean
  readonly sharp: boolean
  readonly space: boolean
  readonly zero: boolean
  readonly width: number
  readonly precision: number
}

/** Widths and precisions beyond this are refused, as BADWIDTH and BADPREC. */
const widest = 1000

const pad = (text: string, spec: Spec, zeros: boolean): string => {
  const missing = spec.width - [...text].length
  if (missing <= 0) return text
  if (spec.minus) return text + ' '.repeat(missing)
  if (!zeros) return ' '.repeat(missing) + text
  const sign = /^[+\- ]/.test(text) ? text[0]! : ''
  return sign + '0'.repeat(missing) + text.slice(sign.length)
}

const quotedChar = (char: string, ascii: boolean, quote: string): string => {
  const known: Record<string, string> = {
    '\x07': '\\a',
    '\b': '\\b',
    '\f': '\\f',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\v': '\\v',
    '\\': '\\\\',
  }
  if (char === quote) return `\\${quote}`
  const point = char.codePointAt(0)!
  if (known[char]) return known[char]
  if (point < 0x20 || point === 0x7f) return `\\x${point.toString(16).padStart(2, '0')}`
  if (point < 0x7f) return char
  if (!ascii && /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(char)) return char
  return point > 0xffff
    ? `\\U${point.toString(16).padStart(8, '0')}`
    : `\\u${point.toString(16).padStart(4, '0')}`
}
/** Go's strconv.Quote. */
export const quote = (text: string, ascii = false): string =>
  `"${[...text].map((c) => quotedChar(c, ascii, '"')).join('')}"`

const bad = (verb: string, value: unknown): string =>
  isEmpty(value) ? `%!${verb}(<nil>)` : `%!${verb}(${typeName(value)}=${show(value)})`

const integer = (value: bigint, spec: Spec): string | null => {
  const bases: Record<string, number> = { d: 10, v: 10, b: 2, o: 8, O: 8, x: 16, X: 16 }
  const { verb } = spec
  const sign = value < 0n ? '-' : spec.plus ? '+' : spec.space ? ' ' : ''
  const base = bases[verb]
  if (base !== undefined) {
    let digits = (value < 0n ? -value : value).toString(base)
    if (spec.precision >= 0) digits = digits.padStart(spec.precision, '0')
    if (verb === 'O') digits = `0o${digits}`
    if (spec.sharp)
      digits = { x: '0x', X: '0x', o: '0', b: '0b' }[verb]
        ? { x: '0x', X: '0x', o: '0', b: '0b' }[verb] + digits
        : digits
    return pad(sign + (verb === 'X' ? digits.toUpperCase() : digits), spec, spec.zero && spec.precision < 0)
  }
  const point = value >= 0n && value <= 0x10ffffn ? Number(value) : 0xfffd
  if (verb === 'c') return pad(String.fromCodePoint(point), spec, false)
  if (verb === 'q') return pad(`'${quotedChar(String.fromCodePoint(point), spec.plus, "'")}'`, spec, false)
  if (verb === 'U') return pad(`U+${value.toString(16).toUpperCase().padStart(4, '0')}`, spec, false)
  return null
}

const float = (value: number, spec: Spec): string | null => {
  const { verb } = spec
  const kind = { e: 'e', E: 'e', f: 'f', F: 'f', g: 'g', G: 'g', v: 'g' }[verb] as 'e' | 'f' | 'g' | undefined
  if (kind === undefined) {
    // Data has one kind of number: a whole one may stand where Go wants an integer.
    return Number.isInteger(value) && 'dxXobcqU'.includes(verb) ? integer(BigInt(value), spec) : null
  }
  const precision = spec.precision >= 0 ? spec.precision : kind === 'g' ? -1 : 6
  let text = formatFloat(value, kind, precision)
  if (verb === 'E' || verb === 'G') text = text.toUpperCase().replace('INF', 'Inf').replace('NAN', 'NaN')
  // Go always shows the sign of infinity.
  if (!/^[-+]/.test(text)) text = (spec.plus ? '+' : spec.space ? ' ' : '') + text
  return pad(text, spec, spec.zero && Number.isFinite(value))
}

const text = (value: string, spec: Spec): string | null => {
  const cut = spec.precision >= 0 ? [...value].slice(0, spec.precision).join('') : value
  switch (spec.verb) {
    case 's':
    case 'v':
      return pad(spec.verb === 'v' && spec.sharp ? quote(cut) : cut, spec, spec.zero)
    case 'q':
      return pad(
        spec.sharp && !/[`\p{Cc}]/u.test(cut) ? `\`${cut}\`` : quote(cut, spec.plus),
        spec,
        spec.zero,
      )
    case 'x':
    case 'X': {
      const bytes = Buffer.from(value).subarray(0, spec.precision >= 0 ? spec.precision : undefined)
      const hex = bytes.toString('hex')
      return pad(spec.verb === 'X' ? hex.toUpperCase() : hex, spec, spec.zero)
    }
    default:
      return null
  }
}

const one = (value: unknown, spec: Spec): string => {
  const { verb } = spec
  if (verb === 'T') return pad(typeName(value), spec, false)
  if (isEmpty(value)) return verb === 'v' ? pad('<nil>', spec, false) : bad(verb, value)
  if (typeof value === 'bigint') return integer(value, spec) ?? bad(verb, value)
  if (typeof value === 'number') return float(value, spec) ?? bad(verb, value)
  if (typeof value === 'string') return text(value, spec) ?? bad(verb, value)
  if (typeof value === 'boolean')
    return verb === 't' || verb === 'v' ? pad(String(value), spec, false) : bad(verb, value)
  const own = stringer(value)
  if (own !== null && 'svq'.includes(verb)) return text(own, spec)!
  if (Array.isArray(value) || value instanceof Map || isRecord(value))
    return show(value, (leaf) => (verb === 'v' && !spec.width ? showLeaf(leaf) : one(leaf, spec)))
  return bad(verb, value)
}

/** The state of one Sprintf: which operand is next, and whether any was taken by number. */
class Operands {
  #next = 0
  reordered = false
  readonly values: readonly unknown[]
  constructor(values: readonly unknown[]) {
    this.values = values
  }
  seek(n: number): boolean {
    this.reordered = true
    this.#next = n - 1
    return n >= 1 && n <= this.values.length
  }
  get left(): readonly unknown[] {
    return this.values.slice(this.#next)
  }
  take(): { value: unknown } | null {
    return this.#next < this.values.length ? { value: this.values[this.#next++] } : null
  }
}

const directive = /%([-+# 0]*)(?:\[(\d+)\])?(\*|\d+)?(?:\.(?:\[(\d+)\])?(\*|\d*))?(?:\[(\d+)\])?(.|$)/suy

const star = (given: string | undefined, operands: Operands): number | null => {
  if (given === undefined) return -1
  if (given === '') return 0
  const size = given === '*' ? Number(operands.take()?.value ?? Number.NaN) : Number(given)
  return Number.isInteger(size) && Math.abs(size) <= widest ? size : null
}

const expand = (found: RegExpExecArray, operands: Operands): string => {
  const [, flags = '', first, givenWidth, second, givenPrecision, third, verb = ''] = found
  let problem = ''
  const seek = (n: string | undefined): void => {
    if (n !== undefined && !operands.seek(Number(n))) problem = '(BADINDEX)'
  }
  seek(first)
  const width = star(givenWidth, operands)
  if (width === null) problem = '(BADWIDTH)'
  seek(second)
  const precision = star(givenPrecision, operands)
  if (precision === null) problem = '(BADPREC)'
  seek(third)
  if (verb === '') return '%!(NOVERB)'
  if (verb === '%') return '%'
  if (problem) return `%!${problem === '(BADINDEX)' ? verb : ''}${problem}`
  const operand = operands.take()
  if (!operand) return `%!${verb}(MISSING)`
  const minus = flags.includes('-') || (givenWidth === '*' && width! < 0)
  return one(operand.value, {
    verb,
    // %+v asks for more detail of structs, not for a sign.
    plus: flags.includes('+') && verb !== 'v',
    minus,
    sharp: flags.includes('#'),
    space: flags.includes(' '),
    zero: flags.includes('0') && !minus,
    width: givenWidth === undefined ? 0 : Math.abs(width!),
    precision: precision!,
  })
}

/** Go's fmt.Sprintf; mistakes show in the text as `%!d(string=x)`, as they do there. */
export const sprintf = (format: string, values: readonly unknown[]): string => {
  const operands = new Operands(values)
  let out = ''
  let at = 0
  for (;;) {
    const next = format.indexOf('%', at)
    if (next < 0) break
    out += format.slice(at, next)
    directive.lastIndex = next
    const found = directive.exec(format)!
    out += expand(found, operands)
    at = next + found[0].length
  }
  out += format.slice(at)
  const { left } = operands
  if (left.length > 0 && !operands.reordered)
    out += `%!(EXTRA ${left.map((v) => (isEmpty(v) ? '<nil>' : `${typeName(v)}=${show(v)}`)).join(', ')})`
  return out
}
