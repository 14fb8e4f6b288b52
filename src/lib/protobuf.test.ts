import protobuf from 'protobufjs/minimal.js'
import { describe, expect, it } from 'vitest'
import { AppError } from './errors.ts'
import { bytesField, checkMessage, textOf, varintField, WireReader } from './protobuf.ts'

const reader = (...bytes: number[]): WireReader => new WireReader(Buffer.from(bytes))
const varint = (value: bigint): Buffer => {
  const out: number[] = []
  let rest = BigInt.asUintN(64, value)
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128)
  out.push(Number(rest))
  return Buffer.from(out)
}

describe('numbers', () => {
  it.each([
    0n,
    1n,
    127n,
    128n,
    300n,
    2n ** 28n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 35n,
    2n ** 53n - 1n,
    -1n,
    -(2n ** 63n),
    1_767_225_600_000n,
  ])('%d', (value) => {
    const r = new WireReader(varint(value))
    r.varint()
    expect(BigInt.asIntN(64, (BigInt(r.high) << 32n) | BigInt(r.low))).toBe(value)
    expect(new WireReader(varint(value)).int64()).toBe(Number(value))
    expect(r.at).toBe(r.end)
  })
  it.each([0, 1, 127, 128, 16384, 2 ** 31, 2 ** 40])('%d is written as protobufjs reads it', (value) => {
    const bytes = varintField(3, value)
    if (value === 0) expect(bytes).toHaveLength(0)
    else {
      const theirs = protobuf.Reader.create(bytes)
      expect([theirs.uint32(), Number(theirs.uint64())]).toEqual([24, value])
    }
  })
})

describe('messages', () => {
  it('are walked, unknown fields skipped', () => {
    const r = new WireReader(
      Buffer.concat([
        Buffer.from([13, 1, 2, 3, 4, 17, 1, 2, 3, 4, 5, 6, 7, 8]),
        varintField(3, 300),
        bytesField(4, 'text'),
      ]),
    )
    const seen: unknown[] = []
    while (r.at < r.end) {
      const tag = r.tag()
      if (tag === 24) seen.push(r.uint32())
      else if (tag === 34) seen.push(r.text(r.end))
      else r.skip(tag, r.end)
    }
    expect(seen).toEqual([300, 'text'])
  })
  it.each([
    ['a number without an end', [8, 128]],
    ['a number of eleven bytes', [8, ...Array(11).fill(255)]],
    ['field number 0', [0, 1]],
    ['a group', [11]],
    ['a field longer than the message', [10, 5, 1]],
    ['a cut word', [9, 1, 2]],
    ['an inner message that runs over', [18, 2, 10, 5, 1, 1, 1, 1, 1]],
    ['packed words that are cut', [26, 7, 1, 2, 3, 4, 5, 6, 7]],
    ['a length of 64 bits', [10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]],
  ])('are refused with %s', (_, bytes) => {
    const r = reader(...bytes)
    expect(() => checkMessage(r, r.end, { 18: { 10: {} }, 26: 'words' })).toThrow(AppError)
  })
  it('are not followed without end', () => {
    const endless: Record<number, object> = {}
    endless[10] = endless
    let bytes: Buffer = Buffer.alloc(0)
    for (let i = 0; i < 100; i++) bytes = bytesField(1, bytes)
    const r = new WireReader(bytes)
    expect(() => checkMessage(r, r.end, endless as never)).toThrow(/nested/)
  })
})

describe('text', () => {
  it.each(['', 'plain', 'größe', '🚀'.repeat(20), 'x'.repeat(100)])('%s', (text) => {
    const bytes = Buffer.from(text)
    expect(textOf(bytes, 0, bytes.length)).toBe(text)
  })
  it.each([[[0xff]], [[0xc3]], [Array(50).fill(0xe2)]])('%j is none', (bytes) => {
    expect(textOf(Buffer.from(bytes), 0, bytes.length)).toBeNull()
  })
})
