import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { silentLogger } from '../lib/log.ts'
import type { Fragment } from './fragment.ts'
import { Live, type StreamEvent } from './live.ts'

const setUp = () => {
  const clock = new FakeClock()
  const state = { value: 'a', looks: 0, broken: false }
  const render = async (page: string): Promise<Fragment[]> => {
    state.looks++
    if (state.broken) throw new Error('planted')
    return [
      { id: 'same', digest: page, html: page },
      { id: 'live', digest: state.value, html: state.value },
    ]
  }
  const live = new Live({ clock, log: silentLogger(), render, beat: () => ({ now: clock.now() }) })
  const open = (page: string, has: ReadonlyMap<string, string>) => {
    const got: StreamEvent[] = []
    return { got, leave: live.watch(page, has, (events) => got.push(...events)) }
  }
  return { clock, state, live, open }
}
const kinds = (events: readonly StreamEvent[]): string[] =>
  events.map((e) => (e.event === 'beat' ? 'beat' : (JSON.parse(e.data) as { html: string }).html))

describe('the stream', () => {
  it('looks at nothing while nobody watches, and stops when the last one leaves', async () => {
    const { clock, state, open, live } = setUp()
    await clock.advance(60_000)
    expect(state.looks).toBe(0)
    const { leave } = open('now', new Map())
    await clock.advance(11_000)
    expect(state.looks).toBe(2)
    leave()
    leave()
    expect(live.watchers).toBe(0)
    await clock.advance(60_000)
    expect(state.looks).toBe(2)
  })
  it('sends only what the browser does not have, then what changes, with a beat each time', async () => {
    const { clock, state, open } = setUp()
    const { got } = open(
      'now',
      new Map([
        ['same', 'now'],
        ['live', 'old'],
      ]),
    )
    expect(kinds(got.splice(0))).toEqual(['beat'])
    await clock.advance(5000)
    expect(kinds(got.splice(0))).toEqual(['a', 'beat'])
    await clock.advance(5000)
    expect(kinds(got.splice(0))).toEqual(['beat'])
    state.value = 'b'
    await clock.advance(5000)
    expect(kinds(got.splice(0))).toEqual(['b', 'beat'])
  })
  it('looks once for all who have a page open', async () => {
    const { clock, state, open } = setUp()
    const one = open('now', new Map())
    const two = open('now', new Map([['same', 'now']]))
    await clock.advance(5000)
    expect(state.looks).toBe(1)
    expect(kinds(one.got)).toEqual(['beat', 'now', 'a', 'beat'])
    expect(kinds(two.got)).toEqual(['beat', 'a', 'beat'])
  })
  it('does not beat for a page that cannot be made, and goes on when it can', async () => {
    const { clock, state, open } = setUp()
    const { got } = open('now', new Map())
    got.splice(0)
    state.broken = true
    await clock.advance(10_000)
    expect(got).toEqual([])
    state.broken = false
    await clock.advance(5000)
    expect(kinds(got)).toEqual(['now', 'a', 'beat'])
  })
  it('takes only so many', () => {
    const { open } = setUp()
    for (let i = 0; i < 256; i++) open('now', new Map())
    expect(() => open('now', new Map())).toThrow('256 pages are open already')
  })
})
