// Go's text forms of a float64: %e, %f and %g, exact and rounded half to even.

const bits = new DataView(new ArrayBuffer(8))

/** A finite non-negative double as `mantissa · 2^exponent`. */
const exact = (value: number): { mantissa: bigint; exponent: number } => {
  bits.setFloat64(0, value)
  const raw = bits.getBigUint64(0)
  const biased = Number((raw >> 52n) & 0x7ffn)
  const fraction = raw & 0xfffffffffffffn
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: biased - 1075 }
}

/** `value · 10^places` as an integer, ties to even. */
const scaled = (value: number, places: number): bigint => {
  const { mantissa, exponent } = exact(value)
  let over = mantissa
  let under = 1n
  if (places >= 0) over *= 10n ** BigInt(places)
  else under *= 10n ** BigInt(-places)
  if (exponent >= 0) over <<= BigInt(exponent)
  else under <<= BigInt(-exponent)
  const whole = over / under
  const twice = (over % under) * 2n
  return twice > under || (twice === under && (whole & 1n) === 1n) ? whole + 1n : whole
}

const special = (value: number): string | null =>
  Number.isNaN(value)
    ? 'NaN'
    : value === Number.POSITIVE_INFINITY
      ? '+Inf'
      : value === Number.NEGATIVE_INFINITY
        ? '-Inf'
        : null

const fixed = (value: number, precision: number): string => {
  const digits = String(scaled(value, precision)).padStart(precision + 1, '0')
  return precision === 0 ? digits : `${digits.slice(0, -precision)}.${digits.slice(-precision)}`
}

/** Significant digits and the decimal exponent of the first. */
interface Digits {
  readonly digits: string
  readonly exponent: number
}
const significant = (value: number, count: number): Digits => {
  if (value === 0) return { digits: '0'.repeat(count), exponent: 0 }
  let exponent = Number(value.toExponential().split('e')[1])
  let digits = String(scaled(value, count - 1 - exponent))
  if (digits.length > count) {
    exponent++
    digits = String(scaled(value, count - 1 - exponent))
  }
  return { digits, exponent }
}
const shortest = (value: number): Digits => {
  const [head = '', exponent] = value.toExponential().split('e')
  return { digits: head.replace('.', ''), exponent: Number(exponent) }
}

const scientific = ({ digits, exponent }: Digits): string => {
  const sign = exponent < 0 ? '-' : '+'
  const size = String(Math.abs(exponent)).padStart(2, '0')
  return `${digits[0]}${digits.length > 1 ? `.${digits.slice(1)}` : ''}e${sign}${size}`
}
const plain = ({ digits, exponent }: Digits): string => {
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`
  if (digits.length <= exponent + 1) return digits.padEnd(exponent + 1, '0')
  return `${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`
}

/** `precision` -1 is the shortest text that reads back to the same value. The sign is `-` or nothing. */
export const formatFloat = (value: number, verb: 'e' | 'f' | 'g', precision: number): string => {
  const odd = special(value)
  if (odd !== null) return odd
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const size = Math.abs(value)
  if (verb === 'f') return sign + (precision < 0 ? plain(shortest(size)) : fixed(size, precision))
  if (verb === 'e')
    return sign + scientific(precision < 0 ? shortest(size) : significant(size, precision + 1))
  const count = precision === 0 ? 1 : precision
  const all = count < 0 ? shortest(size) : significant(size, count)
  const kept = { digits: all.digits.replace(/0+$/, '') || '0', exponent: all.exponent }
  // Exponent form from this exponent on: 6 for the shortest text, else the precision, or all digits there are when it asks for more.
  const { digits, exponent } = kept
  const bound = count < 0 ? 6 : count > digits.length && digits.length > exponent ? digits.length : count
  return sign + (exponent < -4 || exponent >= bound ? scientific(kept) : plain(kept))
}
