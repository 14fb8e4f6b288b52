import { describe, expect, test } from 'vitest'
import { AlertRoom, readConfig } from '../../test/kit/alert-room.ts'

const s = 1000
const min = 60 * s
const hour = 60 * min
const plain =
  'route: { receiver: r, group_by: [alertname], group_wait: 30s, group_interval: 5m, repeat_interval: 4h }\nreceivers: [{ name: r }]\n'
const told = async (text = plain) => {
  const r = await new AlertRoom(text).start()
  await r.fire({ unit: 'a' })
  await r.clock.advance(30 * s)
  expect(r.told()).toEqual(['r firing (first notification): a=firing'])
  return r
}
const over = ['r resolved (all alerts resolved): a=resolved']

describe('an end that nobody was told of yet', () => {
  test('is told after kill -9', async () => {
    const r = await told()
    await r.resolve({ unit: 'a' })
    await r.kill(min)
    await r.clock.advance(6 * min)
    expect(r.told()).toEqual(over)
  })
  test('is told after kill -9 when the time ran out while nobody watched', async () => {
    const r = await told()
    await r.clock.advance(4 * min)
    await r.kill(min)
    await r.clock.advance(20 * min)
    expect(r.told()).toEqual(over)
  })
  test('is told after a reload', async () => {
    const r = await told()
    await r.resolve({ unit: 'a' })
    await r.alerts.apply(readConfig(`${plain}inhibit_rules: []\n`))
    await r.clock.advance(6 * min)
    expect(r.told()).toEqual(over)
  })
  test('is told where repeats are more frequent than the group interval', async () => {
    const r = await told(plain.replace('4h', '1m'))
    await r.clock.advance(2 * min)
    await r.resolve({ unit: 'a' })
    await r.clock.advance(5 * min)
    expect(r.told()).toEqual(over)
  })
})

/** As rules do: what fires is said again every minute. */
const firing = async (r: AlertRoom, units: string[], by: number): Promise<void> => {
  for (let t = 0; t < by; t += min) {
    for (const unit of units) await r.fire({ unit })
    await r.clock.advance(min)
  }
}

describe('a clock set by hours', () => {
  test('back: new alerts of a group are told at its next interval, and nothing is called resolved', async () => {
    const r = await told()
    r.clock.jump(r.now - 3 * hour)
    await firing(r, ['a', 'b'], 6 * min)
    expect(r.told()).toEqual(['r firing (new alerts in group): a=firing b=firing'])
    await r.resolve({ unit: 'a' })
    await r.resolve({ unit: 'b' })
    await r.clock.advance(6 * min)
    expect(r.told()).toEqual(['r resolved (all alerts resolved): a=resolved b=resolved'])
  })
  test('forward: what goes on firing is not called resolved', async () => {
    const r = await told()
    await firing(r, ['a'], 4 * min)
    await r.clock.advance(50 * s)
    r.clock.jump(r.now + 3 * hour)
    // The next evaluation comes a little after the group's own time.
    await r.clock.advance(20 * s)
    await firing(r, ['a'], 20 * min)
    expect(r.told()).toEqual([])
    await r.clock.advance(20 * min)
    expect(r.told()).toEqual(over)
  })
})
