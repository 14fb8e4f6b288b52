import { html } from 'hono/html'
import { describe, expect, it } from 'vitest'
import { instant } from '../lib/time.ts'
import { fragment } from './fragment.ts'
import { empty, json, panel, plot, spark, state, time } from './parts.ts'

const text = async (piece: unknown): Promise<string> => String(await piece)
const hostile = '<img src=x onerror=alert(1)>"\'&'

describe('parts', () => {
  it('give every shape its word, seen or heard', async () => {
    expect(await text(state('crit'))).toContain('<span>Critical</span>')
    expect(await text(state('stale', ''))).toContain('<span class="sr">No data</span>')
  })
  it('let no value become markup', async () => {
    const all = await text(
      html`${panel('p', hostile, empty(hostile, hostile))}${plot(
        'f',
        {
          t: [1, 2],
          series: [{ key: hostile, label: hostile, values: [1, null] }],
          unit: 'count',
          height: 100,
        },
        { title: hostile, says: hostile },
      )}${spark([1, 2], { label: hostile })}`,
    )
    expect(all).not.toContain('<img')
    expect(all).toContain('&lt;img')
  })
  it('keep JSON inside its script element', async () => {
    expect(await text(json({ a: '</script><b>' }))).toBe('{"a":"\\u003c/script>\\u003cb>"}')
  })
  it('draw gaps as gaps', async () => {
    const path = /class="line" d="([^"]*)"/.exec(await text(spark([1, 2, null, 3, 4], { label: 'x' })))?.[1]
    expect(path?.match(/M/g)).toHaveLength(2)
    expect(await text(spark([null, 1], { label: 'x' }))).not.toContain('<svg')
  })
})

describe('a fragment', () => {
  const piece = (at: number, value: number) =>
    html`<p id="x" data-fragment>${time(instant(at), instant(at + 1000 * value), 'age')} ${value > 100 ? 'much' : 'little'}</p>`
  it('is the same while only time goes by, and another when something else is said', async () => {
    const [a, b, c] = await Promise.all([
      fragment('x', piece(0, 5)),
      fragment('x', piece(0, 65)),
      fragment('x', piece(0, 165)),
    ])
    expect(a.html).not.toBe(b.html)
    expect(a.digest).toBe(b.digest)
    expect(c.digest).not.toBe(a.digest)
    expect(a.html).toContain(`data-fragment="${a.digest}"`)
  })
})
