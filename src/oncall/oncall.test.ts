import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FakeClock, settle } from '../../test/kit/clock.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { secretSchema } from '../lib/config.ts'
import { silentLogger } from '../lib/log.ts'
import { memoryRowLog } from '../lib/row-log.ts'
import { duration, instant } from '../lib/time.ts'
import { readYaml } from '../lib/yaml.ts'
import type { Notification } from '../model/alert.ts'
import type { Delivery } from '../model/ports/notifier.ts'
import type { Page } from '../model/ports/pager.ts'
import { ackKeyFile, createAckSigner } from './ack-link.ts'
import { oncallSchema, type Policy } from './config.ts'
import { begin, type EscalationEvent, type EscalationState, step } from './escalation.ts'
import { createOncall } from './oncall.ts'

const notification = (change: Partial<Notification> = {}): Notification => ({
  ...{
    receiver: 'r',
    groupKey: 'k',
    status: 'firing',
    reason: 'first notification',
    groupLabels: {},
    commonLabels: {},
  },
  ...{
    commonAnnotations: {},
    routeLabels: {},
    externalURL: '',
    truncatedAlerts: 0,
    alerts: [],
    at: instant(0),
  },
  ...change,
})
const min = 60_000
const policy: Policy = {
  name: 'p',
  repeat: 1,
  steps: [
    { after: duration(0), users: ['a', 'b'] },
    { after: duration(5 * min), users: ['c'] },
  ],
}

describe('the machine', () => {
  const run = (events: [number, EscalationEvent][]) => {
    let state: EscalationState = begin(policy, notification(), instant(0))
    const log: string[] = []
    const take = (at: number, event: EscalationEvent): void => {
      const next = step(state, event, policy, instant(at))
      for (const p of next.effects) log.push(`${at / min} ${p.user} ${p.step} ${p.about}`)
      state = next.state
    }
    take(0, { kind: 'firing', notification: notification() })
    for (const [at, event] of events) {
      while (state.nextAt !== null && state.nextAt < at) take(state.nextAt, { kind: 'tick' })
      take(at, event)
    }
    return { state, log }
  }
  const resolved: EscalationEvent = { kind: 'resolved', notification: notification({ status: 'resolved' }) }

  test('steps, rounds, and the end told to each once', () => {
    expect(run([[100 * min, resolved]]).log).toEqual([
      ...['0 a 1 firing', '0 b 1 firing', '5 c 2 firing', '10 a 1 firing', '10 b 1 firing', '15 c 2 firing'],
      ...['100 a 1 resolved', '100 b 1 resolved', '100 c 2 resolved'],
    ])
  })
  test('acknowledged: nobody else, and who did stays when asked twice', () => {
    const { state, log } = run([
      [min, { kind: 'acknowledge', by: 'x' }],
      [2 * min, { kind: 'acknowledge', by: 'y' }],
      [60 * min, { kind: 'tick' }],
      [61 * min, resolved],
    ])
    expect(log).toEqual(['0 a 1 firing', '0 b 1 firing', '61 a 1 resolved', '61 b 1 resolved'])
    expect(state).toMatchObject({
      status: 'resolved',
      acknowledgedBy: 'x',
      acknowledgedAt: min,
      endedAt: 61 * min,
    })
  })
  test('an early tick does nothing, a late one does all that was due, once', () => {
    expect(run([[4 * min, { kind: 'tick' }]]).log).toHaveLength(2)
    const late = step(run([]).state, { kind: 'tick' }, policy, instant(300 * min))
    expect(late.effects.map((p) => p.user)).toEqual(['c'])
  })
  test('nobody answered and the group speaks again: from the first step', () => {
    const again = {
      kind: 'firing',
      notification: notification({ reason: 'repeat interval elapsed' }),
    } as const
    expect(run([[100 * min, again]]).log.slice(6)).toEqual(['100 a 1 firing', '100 b 1 firing'])
  })
  test('ids of pages never repeat', () => {
    const ids = run([[100 * min, resolved]]).state.pages.map((p) => p.id)
    expect(new Set(ids).size).toBe(ids.length)
  })
  test('over is over', () => {
    const { state } = run([[min, resolved]])
    expect(
      step(state, { kind: 'firing', notification: notification() }, policy, instant(2 * min)).state,
    ).toBe(state)
  })
  test('a policy without steps any more pages nobody', () => {
    const { state } = run([])
    expect(step(state, { kind: 'tick' }, { ...policy, steps: [] }, instant(9 * min))).toMatchObject({
      effects: [],
      state: { nextAt: null },
    })
  })
})

describe('links', () => {
  const claim = { escalation: 'e', user: 'mara', page: 'p', expiresAt: instant(1000) }
  const signer = createAckSigner(Buffer.alloc(32, 1))
  test('are good until they expire', () => {
    expect(signer.verify(signer.sign(claim), instant(999))).toEqual(claim)
    expect(() => signer.verify(signer.sign(claim), instant(1000))).toThrow('expired')
  })
  test.each([
    ['', 'empty'],
    ['x.y', 'nonsense'],
    [createAckSigner(Buffer.alloc(32, 2)).sign(claim), 'another key'],
    [
      `${Buffer.from('["e","noor","p",1000]').toString('base64url')}.${signer.sign(claim).split('.')[1]}`,
      'another user',
    ],
    [`${signer.sign(claim)}.x`, 'more'],
  ])('%s is refused: %s', (token) => expect(() => signer.verify(token, instant(0))).toThrow('not valid'))
  test('the key is made once, for the owner only', () => {
    const path = join(mkdtempSync(join(tmpdir(), 'ack-')), 'deep', 'ack.key')
    const key = ackKeyFile(path)
    expect(key).toHaveLength(32)
    expect(ackKeyFile(path).equals(key)).toBe(true)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readFileSync(path, 'utf8')).toBe(key.toString('hex'))
    writeFileSync(path, 'short')
    expect(() => ackKeyFile(path)).toThrow('damaged')
  })
})

const read = (text: string) => readYaml(oncallSchema(secretSchema({})), text, 'airboss.yaml')
test.each([
  [
    'policies: { p: { steps: [{ users: [q] }] } }',
    /airboss\.yaml:1: policies\.p\.steps\[0\]\.users\[0\]: user "q" is not defined/,
  ],
  ['users: { a: { notify: [{ pager: x }] } }', /a device is/],
  ['policies: { p: { steps: [] } }', /at least one step/],
  [
    'users: { a: { notify: [{ webhook: http://x }] } }\npolicies: { p: { steps: [{ users: [a], after: 1m, delay: 1m }] } }',
    /not both/,
  ],
  ['userz: {}', /unknown key/],
  ['users: {}\nack_secret: short', /airboss\.yaml:2: ack_secret: has fewer than 16 characters/],
])('configuration %s is refused', (text, why) => expect(() => read(text)).toThrow(why))

describe('the room', () => {
  const config = read(
    'users: { a: { notify: [{ webhook: http://a }] }, b: { notify: [{ webhook: http://b }] } }\n' +
      'policies: { p: { steps: [{ users: [a] }, { delay: 5m, users: [b] }] } }',
  )
  const make = async (answer: (page: Page) => Delivery | Promise<Delivery>, rows = memoryRowLog()) => {
    const clock = new FakeClock()
    const pages: Page[] = []
    const pager = {
      page: async (page: Page) => {
        pages.push(page)
        return await answer(page)
      },
    }
    const oncall = createOncall({
      ...{ config, rows, clock, log: silentLogger(), metrics: fakeMetrics(), publicURL: () => 'http://here' },
      pagersFor: () => [pager],
      signer: createAckSigner(Buffer.alloc(32)),
    })
    await oncall.start()
    return { oncall, clock, pages }
  }
  const live = new AbortController().signal

  test('a notification is taken when the escalation is on disk, not before', async () => {
    const rows = { ...memoryRowLog(), append: async () => Promise.reject(new Error('disk full')) }
    const { oncall, pages } = await make(() => ({ outcome: 'sent' }), rows)
    expect(await oncall.notifier('p').notify(notification(), live)).toMatchObject({
      outcome: 'retry',
      why: 'disk full',
    })
    expect(pages).toEqual([])
  })

  test('two notifications of one group at once make one escalation', async () => {
    const { oncall, pages } = await make(() => ({ outcome: 'sent' }))
    const notifier = oncall.notifier('p')
    await Promise.all([notifier.notify(notification(), live), notifier.notify(notification(), live)])
    await settle()
    expect(oncall.open()).toHaveLength(1)
    expect(pages).toHaveLength(1)
  })

  test('a page that nobody could be given is recorded with the reason, and the next step still comes', async () => {
    const { oncall, pages, clock } = await make((p) =>
      p.user === 'a' ? { outcome: 'refused', why: 'gone' } : { outcome: 'sent' },
    )
    await oncall.notifier('p').notify(notification(), live)
    await clock.advance(5 * min)
    expect(pages.map((p) => p.user)).toEqual(['a', 'b'])
    expect(oncall.open()[0]!.pages).toMatchObject([
      { user: 'a', state: 'failed', why: 'gone' },
      { user: 'b', state: 'sent' },
    ])
  })

  test.each([
    ['set back by three hours', -3 * 60 * min],
    ['a hair behind its timers', -1],
    ['set forward by three hours', 3 * 60 * min],
  ])('a clock %s does not lose the next step, nor bring it twice', async (_, by) => {
    const { oncall, pages, clock } = await make(() => ({ outcome: 'sent' }))
    await oncall.notifier('p').notify(notification(), live)
    await clock.advance(min)
    clock.jump(clock.now() + by)
    await clock.advance(4 * min)
    await clock.advance(min)
    expect(pages.map((p) => p.user)).toEqual(['a', 'b'])
    await clock.advance(60 * min)
    expect(pages).toHaveLength(2)
  })

  test('a resolve without an escalation, and an unknown policy', async () => {
    const { oncall } = await make(() => ({ outcome: 'sent' }))
    expect(await oncall.notifier('p').notify(notification({ status: 'resolved' }), live)).toEqual({
      outcome: 'sent',
    })
    expect(oncall.all()).toEqual([])
    expect(() => oncall.notifier('q')).toThrow('policy "q" is not defined')
  })

  test('ended by hand: those paged are told, and it cannot be acknowledged', async () => {
    const { oncall, pages } = await make(() => ({ outcome: 'sent' }))
    await oncall.notifier('p').notify(notification(), live)
    await settle()
    const by = { id: 'user:x', kind: 'user' } as const
    const { id } = oncall.open()[0]!
    expect((await oncall.resolve(id, by)).status).toBe('resolved')
    await settle()
    expect(pages.map((p) => p.notification.status)).toEqual(['firing', 'resolved'])
    expect(pages[1]!.ackURL).toBeNull()
    await expect(oncall.acknowledge(id, by)).rejects.toMatchObject({ code: 'conflict' })
    await expect(oncall.acknowledge('none', by)).rejects.toMatchObject({ code: 'not_found' })
  })
})
