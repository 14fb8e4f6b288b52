import { describe, expect, it } from 'vitest'
import { exponentialBound } from './native-bounds.ts'

describe('bounds of exponential buckets', () => {
  it('are powers', () => {
    expect(exponentialBound(0, 3)).toBe(1)
    expect(exponentialBound(8, 3)).toBe(2)
    expect(exponentialBound(-8, 3)).toBe(0.5)
    // As Prometheus prints it: the neighbour of the nearest double.
    expect(String(exponentialBound(1, 1))).toBe('1.414213562373095')
    expect(exponentialBound(3, 2)).toBe(1.6817928305074288)
    expect(exponentialBound(1, -2)).toBe(16)
    expect(exponentialBound(3, -4)).toBe(2 ** 48)
    expect(exponentialBound(1024, 0)).toBe(Number.MAX_VALUE)
    expect(exponentialBound(2048, 1)).toBe(Number.MAX_VALUE)
    expect(exponentialBound(64, -4)).toBe(Number.MAX_VALUE)
    expect(exponentialBound(1025, 0)).toBe(Number.POSITIVE_INFINITY)
    expect(exponentialBound(2049, 1)).toBe(Number.POSITIVE_INFINITY)
    expect(exponentialBound(65, -4)).toBe(Number.POSITIVE_INFINITY)
  })
})
