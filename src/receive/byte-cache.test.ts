import { describe, expect, it } from 'vitest'
import { ByteCache } from './byte-cache.ts'

const view = (text: string): DataView => {
  const bytes = Buffer.from(text)
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
const put = (cache: ByteCache<number>, text: string, scope: number, value: number): void => {
  if (cache.get(view(text), 0, Buffer.byteLength(text), scope) === undefined)
    cache.set(view(text), 0, Buffer.byteLength(text), scope, value)
}
const get = (cache: ByteCache<number>, text: string, scope = 0): number | undefined =>
  cache.get(view(text), 0, Buffer.byteLength(text), scope)

describe('a cache by bytes', () => {
  it('tells keys and scopes apart, and grows', () => {
    const cache = new ByteCache<number>(100_000, 10 << 20)
    for (let i = 0; i < 20_000; i++) put(cache, `series ${i}${'-'.repeat(i % 7)}`, i % 3, i)
    for (let i = 0; i < 20_000; i++) {
      expect(get(cache, `series ${i}${'-'.repeat(i % 7)}`, i % 3)).toBe(i)
      expect(get(cache, `series ${i}${'-'.repeat(i % 7)}`, (i + 1) % 3)).toBeUndefined()
    }
  })

  it('forgets what has not been asked for while two generations passed, never what has', () => {
    const cache = new ByteCache<number>(10, 1 << 20)
    put(cache, 'kept', 0, 1)
    put(cache, 'lost', 0, 2)
    for (let i = 0; i < 100; i++) {
      put(cache, `other ${i}`, 0, i)
      expect(get(cache, 'kept')).toBe(1)
    }
    expect(get(cache, 'lost')).toBeUndefined()
  })

  it('holds no more bytes than it may', () => {
    const cache = new ByteCache<number>(10, 100)
    put(cache, 'x'.repeat(101), 0, 1)
    expect(get(cache, 'x'.repeat(101))).toBeUndefined()
    for (const letter of 'abcdef') put(cache, letter.repeat(60), 0, 1)
    expect([...'abcdef'].filter((letter) => get(cache, letter.repeat(60)) === 1).length).toBeLessThanOrEqual(
      2,
    )
  })
})
