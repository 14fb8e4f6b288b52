import { expect, it } from 'vitest'
import { RowReader, RowWriter } from '../lib/row-binary.ts'
import { millisOf, NativeReader, nativeBlock, trailingError } from './native.ts'

const block = (from: number, rows: number): Buffer => {
  const ids = new BigUint64Array(rows).map((_, i) => BigInt(from + i) + 2n ** 63n)
  const times = new BigInt64Array(rows).map((_, i) => BigInt(from + i) * 1000n - 5n)
  return Buffer.concat(
    nativeBlock(rows, [
      { name: 'id', type: 'UInt64', data: ids },
      { name: 'timestamp', type: 'DateTime64(3)', data: times },
    ]),
  )
}

it.each([1, 3, 7, 64, 1000, 100_000])('reads blocks that come in pieces of %i bytes', (size) => {
  const bytes = Buffer.concat([block(0, 200), block(200, 1), block(201, 300)])
  const reader = new NativeReader()
  const ids: bigint[] = []
  const times: number[] = []
  for (let at = 0; at < bytes.length; at += size) {
    for (const { rows, columns } of reader.feed(bytes.subarray(at, at + size))) {
      ids.push(...new BigUint64Array(columns[0]!, 0, rows))
      const millis = new Float64Array(rows)
      millisOf(columns[1]!, rows, millis, 0)
      times.push(...millis)
    }
  }
  expect(ids).toEqual(Array.from({ length: 501 }, (_, i) => BigInt(i) + 2n ** 63n))
  expect(times).toEqual(Array.from({ length: 501 }, (_, i) => i * 1000 - 5))
  expect(reader.rest.length).toBe(0)
})

it('leaves an error or a cut block in the rest', () => {
  const text = 'Code: 241. DB::Exception: no memory (MEMORY_LIMIT_EXCEEDED)\n'
  const error = Buffer.from(`\r\n__exception__\r\ntag\r\n${text}60 tag\r\n__exception__\r\n`)
  const reader = new NativeReader()
  expect([...reader.feed(Buffer.concat([block(0, 3), error]))]).toHaveLength(1)
  expect(trailingError(reader.rest)).toContain('no memory')
  const cut = new NativeReader()
  expect([...cut.feed(block(0, 3).subarray(0, 40))]).toHaveLength(0)
  expect(cut.rest.length).toBe(40)
  expect(trailingError(cut.rest)).toBeNull()
})

it('writes rows that are read back whatever pieces they come in', () => {
  const rows = new RowWriter(4)
  for (let i = 0; i < 100; i++)
    rows
      .words(i, 0xffffffff)
      .string('ü'.repeat(i))
      .int64(-i * 1e9)
      .endRow()
  const bytes = rows.bytes()
  for (const size of [1, 5, 100, bytes.length]) {
    const reader = new RowReader()
    const seen: [bigint, string, number][] = []
    for (let at = 0; at < bytes.length; at += size)
      reader.feed(bytes.subarray(at, at + size), (r) => void seen.push([r.uint64(), r.string(), r.int64()]))
    expect(seen).toHaveLength(100)
    expect(seen[99]).toEqual([0xffffffff00000063n, 'ü'.repeat(99), -99e9])
    expect(reader.rest.length).toBe(0)
  }
})
