import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AlertRoom, readConfig } from '../../test/kit/alert-room.ts'
import { settle } from '../../test/kit/clock.ts'
import { openJournal } from '../lib/journal.ts'
import { silentLogger } from '../lib/log.ts'
import { memoryRowLog, rowLog } from '../lib/row-log.ts'
import { instant } from '../lib/time.ts'
import type { Delivery } from '../model/ports/notifier.ts'

const times = 'group_by: [alertname], group_wait: 30s, group_interval: 5m, repeat_interval: 4h'
const plain = `route: { receiver: r, ${times} }\nreceivers: [{ name: r }]\n`
const s = 1000
const min = 60 * s
const room = (text = plain, options = {}) => new AlertRoom(text, options).start()
/** Goes on for a while as a rule engine would: alerts that fire are sent again every minute. */
const keepFiring = async (r: AlertRoom, units: string[], by: number): Promise<void> => {
  for (let t = 0; t < by; t += min) {
    for (const unit of units) await r.fire({ unit }, { startsAt: 0 })
    await r.clock.advance(Math.min(min, by - t))
  }
}

describe('the life of a group', () => {
  test('waits, tells, adds at the interval, repeats, resolves, once each', async () => {
    const r = await room()
    await r.fire({ unit: 'a' })
    await r.clock.advance(29_999)
    expect(r.told()).toEqual([])
    await r.clock.advance(1)
    expect(r.told()).toEqual(['r firing (first notification): a=firing'])
    await r.fire({ unit: 'b' })
    await r.fire({ unit: 'a' })
    await r.clock.advance(5 * min - 1)
    expect(r.told()).toEqual([])
    await keepFiring(r, ['a', 'b'], 1)
    expect(r.told()).toEqual(['r firing (new alerts in group): a=firing b=firing'])
    await keepFiring(r, ['a', 'b'], 4 * 60 * min - min)
    expect(r.told()).toEqual([])
    await keepFiring(r, ['a', 'b'], min)
    expect(r.told()).toEqual(['r firing (repeat interval elapsed): a=firing b=firing'])
    await r.resolve({ unit: 'b' })
    await keepFiring(r, ['a'], 5 * min)
    expect(r.told()).toEqual(['r firing (some alerts resolved): a=firing b=resolved'])
    await r.resolve({ unit: 'a' })
    await r.clock.advance(5 * min)
    expect(r.told()).toEqual(['r resolved (all alerts resolved): a=resolved'])
    await r.clock.advance(24 * 60 * min)
    expect(r.told()).toEqual([])
    expect(r.alerts.groups({})).toEqual([])
    expect(r.alerts.alerts({})).toEqual([])
  })

  test('an alert that nobody refreshes counts as resolved when its end passes', async () => {
    const r = await room()
    await r.fire({ unit: 'a' })
    await r.clock.advance(30 * s)
    expect(r.told()).toHaveLength(1)
    await r.clock.advance(5 * min)
    expect(r.told()).toEqual(['r resolved (all alerts resolved): a=resolved'])
  })

  test('resolved before the wait is over: nobody is told', async () => {
    const r = await room()
    await r.fire({ unit: 'a' })
    await r.clock.advance(10 * s)
    await r.resolve({ unit: 'a' })
    await r.clock.advance(20 * min)
    expect(r.told()).toEqual([])
  })

  test('an alert older than the wait is told at once', async () => {
    const r = await room()
    await r.fire({ unit: 'a' }, { startsAt: r.now - 31 * s })
    await r.clock.advance(0)
    expect(r.told()).toEqual(['r firing (first notification): a=firing'])
  })

  test('the same alert sent again before the wait is over starts no new wait, and keeps its start', async () => {
    const r = await room()
    const startsAt = r.now
    await r.fire({ unit: 'a' })
    await r.clock.advance(20 * s)
    await r.fire({ unit: 'a' }, { startsAt: startsAt + 5 * s })
    await r.clock.advance(10 * s)
    expect(r.sent[0]!.alerts[0]!.startsAt).toBe(startsAt)
    expect(r.sent[0]!.sentAt).toBe(startsAt + 30 * s)
  })

  test('what the notification says', async () => {
    const r = await room()
    await r.fire({ unit: 'b', severity: 'critical' })
    await r.fire({ unit: 'a', severity: 'critical' })
    await r.clock.advance(30 * s)
    expect(r.sent[0]).toMatchObject({
      receiver: 'r',
      groupKey: '{}:{alertname="Hot"}',
      groupLabels: { alertname: 'Hot' },
      commonLabels: { alertname: 'Hot', severity: 'critical' },
      commonAnnotations: { summary: 'it is hot' },
      externalURL: 'http://airboss',
    })
    expect(r.sent[0]!.alerts.map((a) => a.labels['unit'])).toEqual(['a', 'b'])
  })

  test('where resolves are not wanted they are not sent, and it fires again as new', async () => {
    const r = await room(plain, { sendResolved: false })
    await r.fire({ unit: 'a' })
    await r.clock.advance(30 * s)
    await r.resolve({ unit: 'a' })
    await r.clock.advance(5 * min)
    await r.fire({ unit: 'a' })
    await r.clock.advance(30 * s)
    expect(r.told()).toEqual([
      'r firing (first notification): a=firing',
      'r firing (first notification): a=firing',
    ])
  })
})

describe('held back', () => {
  const matcher = [{ name: 'unit', op: '=', value: 'a' } as const]
  const silence = (r: AlertRoom, by: number) =>
    r.alerts.setSilence(
      {
        id: '',
        matchers: matcher,
        startsAt: instant(r.now),
        endsAt: instant(r.now + by),
        createdBy: 'x',
        comment: 'y',
        annotations: {},
      },
      { id: 'user:x', kind: 'user' },
    )

  test('a silenced alert is shown suppressed and told when the silence ends', async () => {
    const r = await room()
    const id = await silence(r, 10 * min)
    await r.fire({ unit: 'a' })
    expect(r.alerts.alerts({})[0]!.status).toEqual({
      state: 'suppressed',
      silencedBy: [id],
      inhibitedBy: [],
      mutedBy: [],
    })
    expect(r.alerts.alerts({ silenced: false })).toEqual([])
    await keepFiring(r, ['a'], 9 * min)
    expect(r.told()).toEqual([])
    await keepFiring(r, ['a'], 7 * min)
    expect(r.told()).toEqual(['r firing (first notification): a=firing'])
  })

  test('a silence ended by hand lets the alert through at the next interval', async () => {
    const r = await room()
    const id = await silence(r, 600 * min)
    await keepFiring(r, ['a'], 2 * min)
    await r.alerts.expireSilence(id, { id: 'user:x', kind: 'user' })
    expect(r.alerts.silence(id)!.state).toBe('expired')
    await keepFiring(r, ['a'], 4 * min)
    expect(r.told()).toEqual(['r firing (first notification): a=firing'])
  })

  test('an inhibited alert is not told, even when both come in one push with no wait', async () => {
    const r = await room(
      'route: { receiver: r, group_by: [alertname, unit], group_wait: 0s }\nreceivers: [{ name: r }]\n' +
        'inhibit_rules: [{ source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [unit] }]\n',
    )
    const both = [
      r.alert({ alertname: 'Slow', unit: 'a', severity: 'warning' }),
      r.alert({ alertname: 'Down', unit: 'a', severity: 'critical' }),
    ]
    await r.alerts.push(both, new AbortController().signal)
    await r.clock.advance(0)
    expect(r.sent.map((n) => n.groupLabels['alertname'])).toEqual(['Down'])
    const slow = r.alerts.alerts({}).find((a) => a.labels['alertname'] === 'Slow')!
    expect(slow.status.inhibitedBy).toEqual([
      r.alerts.alerts({}).find((a) => a !== slow && a.fingerprint !== slow.fingerprint)!.fingerprint,
    ])
  })

  test('a muted route tells when its time has come', async () => {
    // The clock stands at midnight UTC, the first of January 2026.
    const r = await room(
      `route: { receiver: r, ${times}, routes: [{ matchers: [unit=a], mute_time_intervals: [night] }] }\nreceivers: [{ name: r }]\n` +
        "time_intervals: [{ name: night, time_intervals: [{ times: [{ start_time: '00:00', end_time: '00:07' }] }] }]\n",
    )
    await keepFiring(r, ['a'], 7 * min)
    expect(r.told()).toEqual([])
    expect(r.alerts.groups({ muted: false })).toHaveLength(1)
    await keepFiring(r, ['a'], 5 * min)
    expect(r.told()).toEqual(['r firing (first notification): a=firing'])
  })
})

describe('trouble', () => {
  test('a receiver that hangs delays nobody else, and gets its next chance', async () => {
    let hanging = true
    const r = await room(
      'route: { receiver: slow, group_wait: 1s, group_interval: 10s, routes: [{ receiver: slow, continue: true }, { receiver: fast }] }\n' +
        'receivers: [{ name: slow }, { name: fast }]\n',
      {
        answer: (n: { receiver: string }) =>
          n.receiver === 'slow' && hanging ? new Promise(() => {}) : undefined,
      },
    )
    await r.fire({ unit: 'a' })
    await r.clock.advance(1 * s)
    expect(r.told()).toEqual(['fast firing (first notification): a=firing'])
    await r.clock.advance(15 * s)
    expect(r.told()).toEqual([])
    hanging = false
    await r.clock.advance(20 * s)
    expect(r.told()).toEqual(['slow firing (first notification): a=firing'])
  })

  test('a failed delivery keeps the resolved alert until somebody was told', async () => {
    let answer: Delivery | undefined
    const r = await room(plain, { answer: () => answer })
    await r.fire({ unit: 'a' })
    await r.clock.advance(30 * s)
    answer = { outcome: 'retry', why: 'down', after: null }
    await r.resolve({ unit: 'a' })
    await r.clock.advance(12 * min)
    expect(r.told()).toEqual(['r firing (first notification): a=firing'])
    answer = undefined
    await r.clock.advance(5 * min)
    expect(r.told()).toEqual(['r resolved (all alerts resolved): a=resolved'])
  })

  test('bad alerts are named and the good ones taken', async () => {
    const r = await room()
    const posted = [
      { labels: {} },
      { labels: { alertname: 'Good', empty: '' } },
      { labels: { alertname: 'Odd' }, startsAt: instant(r.now), endsAt: instant(1) },
    ]
    const full = posted.map((p) => ({
      annotations: {},
      startsAt: null,
      endsAt: null,
      generatorURL: '',
      ...p,
    }))
    await expect(r.alerts.post(full, new AbortController().signal)).rejects.toThrow(
      /at least one label.*alert Odd/,
    )
    expect(r.alerts.alerts({}).map((a) => a.labels)).toEqual([{ alertname: 'Good' }])
    expect(r.alerts.alerts({})[0]!.endsAt).toBe(r.now + 5 * min)
  })

  test('a reload that changes only a receiver keeps the groups and their clocks', async () => {
    const r = await room()
    await r.fire({ unit: 'a' })
    await r.clock.advance(20 * s)
    await r.alerts.apply(readConfig(`${plain}inhibit_rules: []\n`))
    await r.clock.advance(10 * s)
    expect(r.told()).toEqual(['r firing (first notification): a=firing'])
    await r.alerts.apply(readConfig(plain))
    await keepFiring(r, ['a'], 60 * min)
    expect(r.told()).toEqual([])
  })
})

describe('kill -9', () => {
  test('during the wait: told when the wait is over, once', async () => {
    const r = await room()
    await r.fire({ unit: 'a' })
    await r.clock.advance(20 * s)
    await r.kill(5 * s)
    await r.clock.advance(10 * s)
    await keepFiring(r, ['a'], 30 * min)
    expect(r.told()).toEqual(['r firing (first notification): a=firing'])
  })

  test('after it was told: not told again, resolved once', async () => {
    const r = await room()
    await r.fire({ unit: 'a' })
    await r.clock.advance(30 * s)
    expect(r.told()).toHaveLength(1)
    await r.kill(min)
    await keepFiring(r, ['a'], 30 * min)
    expect(r.told()).toEqual([])
    await r.resolve({ unit: 'a' })
    await r.clock.advance(5 * min)
    await r.kill()
    await r.clock.advance(30 * min)
    expect(r.told()).toEqual(['r resolved (all alerts resolved): a=resolved'])
  })

  test('down for longer than the alert lives: no false resolve while it goes on firing', async () => {
    const r = await room()
    await r.fire({ unit: 'a' })
    await r.clock.advance(30 * s)
    await r.kill(60 * min)
    // The rules need a while until they can say that it still fires.
    await r.clock.advance(min)
    await keepFiring(r, ['a'], 30 * min)
    expect(r.told()).toEqual(['r firing (first notification): a=firing'])
  })

  test('between asked and recorded: done again as the same notification', async () => {
    let answers = 0
    const seen: number[] = []
    const r = await room(plain, {
      answer: (n: { at: number }) => {
        seen.push(n.at)
        return answers++ === 0 ? new Promise(() => {}) : undefined
      },
    })
    await r.fire({ unit: 'a' })
    await r.clock.advance(30 * s)
    await r.kill(2 * s)
    await r.clock.advance(0)
    expect(r.told()).toEqual(['r firing (first notification): a=firing'])
    expect(seen[1]).toBe(seen[0])
    await keepFiring(r, ['a'], 30 * min)
    expect(r.told()).toEqual([])
  })

  test('on a real journal, through a compaction', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'alerts-'))
    const open = () => openJournal({ dir, log: silentLogger() })
    const journal = await open()
    const rows = rowLog(journal)
    const r = await new AlertRoom(plain, { rows }).start()
    await r.fire({ unit: 'a' })
    await r.clock.advance(30 * s)
    for (let i = 0; i < 50 && r.sent.length === 0; i++) await settle()
    await rows.rewrite(await rows.replay())
    await r.fire({ unit: 'b' })
    await journal.close()
    const again = await open()
    const next = new AlertRoom(plain, { rows: rowLog(again) })
    next.clock = r.clock
    await next.start()
    expect(
      next.alerts
        .alerts({})
        .map((a) => a.labels['unit'])
        .sort(),
    ).toEqual(['a', 'b'])
    await next.alerts.drain()
    await again.close()
  })
})

test('no schedule of pushes, resolves and restarts tells one open group twice within the repeat interval', async () => {
  const unit = fc.constantFrom('a', 'b')
  const event = fc.oneof(
    fc.record({ kind: fc.constant('fire' as const), unit }),
    fc.record({ kind: fc.constant('resolve' as const), unit }),
    fc.record({ kind: fc.constant('wait' as const), by: fc.integer({ min: 1, max: 400 }) }),
    fc.record({ kind: fc.constant('kill' as const), by: fc.integer({ min: 0, max: 30 }) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 25 }), async (events) => {
      const r = await room(plain, { rows: memoryRowLog() })
      for (const e of events) {
        if (e.kind === 'fire') await r.fire({ unit: e.unit })
        else if (e.kind === 'resolve') await r.resolve({ unit: e.unit })
        else if (e.kind === 'wait') await r.clock.advance(e.by * s)
        else await r.kill(e.by * s)
      }
      await r.clock.advance(20 * min)
      let last: { at: number; firing: string } | null = null
      for (const n of r.sent) {
        const firing = n.alerts.filter((a) => a.status === 'firing').map((a) => a.fingerprint)
        if (n.status === 'resolved') {
          // Nobody is told of an end without having been told of a beginning.
          expect(last).not.toBeNull()
          last = null
          continue
        }
        const same = last && n.reason !== 'some alerts resolved' && n.reason !== 'new alerts in group'
        if (same && last) expect(n.sentAt - last.at).toBeGreaterThanOrEqual(240 * min)
        if (last && n.reason === 'new alerts in group') expect(firing.join()).not.toBe(last.firing)
        last = { at: n.sentAt, firing: firing.join() }
      }
      // Everything ends within 20 minutes of silence: nobody is left paged for ever.
      expect(last).toBeNull()
      expect(r.alerts.groups({})).toEqual([])
    }),
    { numRuns: 60, seed: 20260101 },
  )
})
