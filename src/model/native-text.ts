// Native histograms as text.
import { formatFloat } from '../lib/template/float.ts'
import { bucketsAscending } from './native-bounds.ts'
import type { NativeHistogram } from './native-histogram.ts'

const g = (value: number): string => formatFloat(value, 'g', -1)

/** As Prometheus prints one: `{count:3, sum:1.5, [-1,1]:1, (1,2]:2}`. */
export const printHistogram = (h: NativeHistogram): string => {
  const buckets = bucketsAscending(h).map(
    ({ lower, upper, count, ends }) =>
      `, ${ends === 0 ? '(' : '['}${g(lower)},${g(upper)}${ends === 1 ? ')' : ']'}:${g(count)}`,
  )
  return `{count:${g(h.count)}, sum:${g(h.sum)}${buckets.join('')}}`
}
