import { expect, test } from 'vitest'
import { quantityOf } from './quantity.ts'

test.each([
  ['0', 0],
  ['250m', 0.25],
  ['1', 1],
  ['1.5', 1.5],
  ['.5', 0.5],
  ['100n', 1e-7],
  ['3920m', 3.92],
  ['7Gi', 7 * 2 ** 30],
  ['8145280Ki', 8_340_766_720],
  ['129M', 129e6],
  ['129e6', 129e6],
  ['12E', 12e18],
  ['1E3', 1000],
  ['-1k', -1000],
  [4, 4],
])('%s is %d', (text, value) => expect(quantityOf(text)).toBe(value))

test.each(['', 'x', '1 Gi', '1KiB', 'Gi', undefined])('%s is none', (text) =>
  expect(quantityOf(text)).toBeNaN(),
)
