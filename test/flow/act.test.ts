import { createHmac } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ActionsConfig, actionsSchema } from '../../src/act/config.ts'
import { createDecisions, type DecisionDesk } from '../../src/act/decisions.ts'
import { guard } from '../../src/act/guard.ts'
import type { ActionRecord } from '../../src/act/records.ts'
import { createWebhooks, signature } from '../../src/act/webhook.ts'
import { type OpenLedger, openLedger } from '../../src/ledger/ledger.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createHttp } from '../../src/lib/http.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { duration, hour, minute } from '../../src/lib/time.ts'
import { system } from '../../src/model/actor.ts'
import type { Batch } from '../../src/model/batch.ts'
import type { Action, Decision } from '../../src/model/decision.ts'
import { printLabels } from '../../src/model/labels.ts'
import type { ActOutcome, Actuator } from '../../src/model/ports/actuator.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { FakeClock, settle } from '../kit/clock.ts'
import { fakeMetrics } from '../kit/metrics.ts'

const log = silentLogger()
const metrics = fakeMetrics()
const mara = { id: 'user:mara', kind: 'user' } as const
const never = new AbortController().signal

let dir: string
let clock: FakeClock
let ledger: OpenLedger
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'airboss-act-'))
  clock = new FakeClock()
  ledger = await opened()
})
afterEach(async () => {
  // Those too that a story left behind as killed.
  for (const l of ledgers.splice(0)) await l.drain()
  await rm(dir, { recursive: true })
})
const ledgers: OpenLedger[] = []
const opened = async (): Promise<OpenLedger> => {
  const made = openLedger({ dir, clock, log, metrics })
  ledgers.push(made)
  await made.start()
  return made
}

const action = (id: string, more: Partial<Action> = {}): Action => ({
  id,
  kind: 'rollback',
  subject: 'pilot',
  params: { to: '1.0.0' },
  reason: 'it is worse',
  causes: [],
  actuator: '',
  ...more,
})
const decision = (id: string, asks: Action | null, causes: string[] = []): Decision => ({
  id,
  at: clock.now(),
  kind: 'rollout',
  subject: 'pilot',
  verdict: asks?.kind ?? 'hold',
  reason: 'it is worse',
  inputs: {},
  causes,
  action: asks,
})
const live = (more: object = {}): ActionsConfig => actionsSchema({}).parse({ mode: 'live', ...more })

/** Answers as told, and remembers what it was asked. */
const recorder = (
  answer: () => Promise<ActOutcome> | ActOutcome = () => ({ outcome: 'done', detail: 'ok' }),
) => {
  const calls: string[] = []
  const actuator: Actuator = {
    act: async (a) => {
      calls.push(a.id)
      return answer()
    },
  }
  return { calls, actuator }
}
const guarded = (actuator: Actuator, config: ActionsConfig): Actuator =>
  guard(actuator, { config, ledger, clock, log, metrics })
const stateOf = (id: string): ActionRecord | null => ledger.get<ActionRecord>('action', id)?.value ?? null
const put = (d: Decision) => ledger.put('decision', d.id, d, { by: mara, why: '' })

describe('guard', () => {
  test('by default it does nothing, and says so', async () => {
    const { calls, actuator } = recorder()
    const outcome = await guarded(actuator, actionsSchema({}).parse({})).act(action('a'), mara, never)
    expect(outcome).toMatchObject({ outcome: 'held', why: expect.stringMatching(/^dry run/) })
    expect(calls).toEqual([])
    expect(stateOf('a')).toMatchObject({ state: 'held', hold: 'dry_run' })
  })
  test('one id is done once: asked again, at once, or after a restart', async () => {
    const { calls, actuator } = recorder()
    const g = guarded(actuator, live())
    await Promise.all([g.act(action('a'), mara, never), g.act(action('a'), mara, never)])
    expect(await g.act(action('a'), mara, never)).toEqual({ outcome: 'done', detail: 'ok' })
    await ledger.drain()
    ledger = await opened()
    expect(await guarded(actuator, live()).act(action('a'), mara, never)).toMatchObject({ outcome: 'done' })
    expect(calls).toEqual(['a'])
  })
  test('killed while doing: after the restart it is done again under the same id, past cooldown and limit', async () => {
    const hanging = recorder(() => new Promise<never>(() => undefined))
    void guarded(hanging.actuator, live()).act(action('a'), mara, never)
    while (hanging.calls.length === 0) await settle()
    expect(stateOf('a')).toMatchObject({ state: 'doing', attempts: 1 })
    // As after kill -9: nothing was drained, the file is read anew.
    ledger = await opened()
    const next = recorder()
    await guarded(next.actuator, live({ limit_per_hour: 1 })).act(action('a'), mara, never)
    expect(next.calls).toEqual(['a'])
    expect(stateOf('a')).toMatchObject({ state: 'done', attempts: 2 })
  })
  test('a cooldown holds for one kind on one subject, until it is over', async () => {
    const { calls, actuator } = recorder()
    const g = guarded(actuator, live())
    await g.act(action('a'), mara, never)
    await clock.advance(4 * minute)
    expect(await g.act(action('b'), mara, never)).toMatchObject({
      outcome: 'held',
      why: 'the last rollback of pilot was 4m ago; there must be 5m between two',
    })
    await g.act(action('c', { subject: 'scout' }), mara, never)
    await g.act(action('d', { kind: 'promote' }), mara, never)
    await clock.advance(minute)
    await g.act(action('b'), mara, never)
    expect(calls).toEqual(['a', 'c', 'd', 'b'])
  })
  test('the hourly limit counts all kinds, even when all are asked at once', async () => {
    const { calls, actuator } = recorder()
    const g = guarded(actuator, live({ limit_per_hour: 3 }))
    const ask = (n: number) =>
      Promise.all(
        Array.from({ length: n }, (_, i) => g.act(action(`a${i}`, { subject: `s${i}` }), mara, never)),
      )
    const first = await ask(10)
    expect(first.filter((o) => o.outcome === 'done')).toHaveLength(3)
    await clock.advance(hour)
    await ask(10)
    expect(calls).toHaveLength(6)
  })
  test('kinds that need approval wait for it', async () => {
    const { calls, actuator } = recorder()
    const g = guarded(actuator, live({ approvals: ['promote'] }))
    expect(await g.act(action('p', { kind: 'promote' }), mara, never)).toMatchObject({ outcome: 'held' })
    await ledger.put('approval', 'p', { by: 'user:mara', why: 'looks good' }, { by: mara, why: 'looks good' })
    await g.act(action('p', { kind: 'promote' }), mara, never)
    expect(calls).toEqual(['p'])
  })
  test('the red switch stops everything, approved or not, and names who threw it', async () => {
    const { calls, actuator } = recorder()
    await ledger.put('switch', 'actions', { stopped: true, why: 'release freeze' }, { by: mara, why: '' })
    await ledger.put('approval', 'a', { by: 'x', why: '' }, { by: mara, why: '' })
    const outcome = await guarded(actuator, live()).act(action('a'), mara, never)
    expect(outcome).toEqual({
      outcome: 'held',
      why: 'all actions were stopped by user:mara: release freeze',
    })
    expect(calls).toEqual([])
  })
  test('a decision never acts on its own descendants', async () => {
    const { calls, actuator } = recorder()
    const g = guarded(actuator, live({ cooldown: { rollback: '0s' } }))
    const first = action('d1:do', { causes: ['d1'] })
    await put(decision('d1', first))
    await g.act(first, mara, never)
    // d1's action made an alert, the alert made d2, which asks for the same thing again.
    await put(decision('d2', null, ['alert:7', 'd1:do']))
    const second = action('d3:do', { causes: ['d3'] })
    await put(decision('d3', second, ['d2']))
    expect(await g.act(second, mara, never)).toMatchObject({
      outcome: 'held',
      why: expect.stringContaining('it goes back to d1:do, itself a rollback of pilot'),
    })
    const other = action('d4:do', { causes: ['d4'], kind: 'scale' })
    await put(decision('d4', other, ['d1:do']))
    await g.act(other, mara, never)
    expect(calls).toEqual(['d1:do', 'd4:do'])
  })
  test('a failure is final or not as the actuator says; a throw is a failure', async () => {
    let n = 0
    const flaky: Actuator = {
      act: async () => {
        n++
        if (n === 1) throw new Error('boom')
        return n === 2 ? { outcome: 'failed', why: 'away', retryable: true } : { outcome: 'done', detail: '' }
      },
    }
    const g = guarded(flaky, live({ cooldown: { rollback: '0s' } }))
    expect(await g.act(action('x'), mara, never)).toEqual({
      outcome: 'failed',
      why: 'boom',
      retryable: false,
    })
    expect(await g.act(action('x'), mara, never)).toEqual({
      outcome: 'failed',
      why: 'boom',
      retryable: false,
    })
    expect(await g.act(action('y'), mara, never)).toMatchObject({ outcome: 'failed', retryable: true })
    expect(await g.act(action('y'), mara, never)).toMatchObject({ outcome: 'done' })
    expect(n).toBe(3)
  })
})

describe('decisions', () => {
  let batches: Batch[]
  let table: SeriesTable
  const desk = (actuator: Actuator, config: ActionsConfig): DecisionDesk =>
    createDecisions({
      ledger,
      table,
      sink: { push: async (b) => void batches.push(b) },
      actuator: guarded(actuator, config),
      expireAfter: config.expire_after,
      clock,
      log,
      metrics,
    })
  const lastValues = (): Record<string, number> => {
    const out: Record<string, number> = {}
    for (const b of batches)
      for (let i = 0; i < b.ref.length; i++) out[printLabels(table.labels(b.ref[i]!))] = b.value[i]!
    return out
  }
  const quiet = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await settle()
    await new Promise((r) => setTimeout(r, 30))
  }
  beforeEach(() => {
    batches = []
    table = new SeriesTable(1000)
  })

  test('a decision is on record, counted, and its action done', async () => {
    const { calls, actuator } = recorder()
    const d = desk(actuator, live())
    await d.start()
    await d.record(decision('d1', action('d1:do', { causes: ['d1'] })), never)
    await quiet()
    expect(calls).toEqual(['d1:do'])
    expect(d.list(5)).toMatchObject([{ decision: { id: 'd1' }, action: { state: 'done' } }])
    expect(lastValues()).toEqual({
      'airboss_decisions_total{kind="rollout", subject="pilot", verdict="rollback"}': 1,
      'airboss_actions_total{kind="rollback", outcome="done"}': 1,
    })
    // The first sight of a counter is a zero, so that increase() sees the first decision.
    expect(batches[0]!.value[0]).toBe(0)
    await d.drain()
  })
  test('dry run holds it; an approval lets it go, once', async () => {
    const { calls, actuator } = recorder()
    const d = desk(actuator, live({ mode: 'dry_run' }))
    await d.start()
    await d.record(decision('d1', action('d1:do')), never)
    await quiet()
    expect(d.list(1)).toMatchObject([{ action: { state: 'held', hold: 'dry_run' } }])
    await clock.advance(hour)
    expect(calls).toEqual([])
    await d.approve('d1:do', mara, 'I looked')
    await quiet()
    expect(calls).toEqual(['d1:do'])
    expect(d.list(1)).toMatchObject([
      { action: { state: 'done' }, approval: { by: 'user:mara', why: 'I looked' } },
    ])
    await expect(d.approve('d1:do', mara, '')).rejects.toMatchObject({ code: 'conflict' })
    await expect(d.approve('nothing', mara, '')).rejects.toMatchObject({ code: 'not_found' })
    await d.drain()
  })
  test('a newer action of the same kind overtakes one that waits; old ones expire', async () => {
    const { calls, actuator } = recorder()
    const d = desk(actuator, live({ mode: 'dry_run' }))
    await d.start()
    await d.record(decision('d1', action('d1:do')), never)
    await quiet()
    await d.record(decision('d2', action('d2:do')), never)
    await quiet()
    expect(stateOf('d1:do')).toMatchObject({ state: 'superseded', detail: 'd2:do came after it' })
    await expect(d.approve('d1:do', mara, '')).rejects.toThrow(/superseded/)
    await clock.advance(25 * hour)
    await quiet()
    expect(stateOf('d2:do')).toMatchObject({ state: 'expired' })
    expect(calls).toEqual([])
    await d.drain()
  })
  test('what a cooldown held is done when it is over', async () => {
    const { calls, actuator } = recorder()
    const d = desk(actuator, live())
    await d.start()
    await d.record(decision('d1', action('d1:do')), never)
    await quiet()
    await d.record(decision('d2', action('d2:do')), never)
    await quiet()
    expect(calls).toEqual(['d1:do'])
    await clock.advance(6 * minute)
    await quiet()
    expect(calls).toEqual(['d1:do', 'd2:do'])
    await d.drain()
  })
  test('the red switch stops a call under way; resuming goes on with it', async () => {
    const calls: string[] = []
    const slow: Actuator = {
      act: async (a, _by, signal) => {
        calls.push(a.id)
        if (calls.length === 1) await clock.sleep(hour, signal)
        return { outcome: 'done', detail: '' }
      },
    }
    const d = desk(slow, live())
    await d.start()
    await d.record(decision('d1', action('d1:do')), never)
    await quiet()
    await d.stop(mara, 'wait')
    await quiet()
    expect(d.stopped()).toEqual({ by: 'user:mara', why: 'wait' })
    expect(calls).toEqual(['d1:do'])
    await clock.advance(minute)
    await quiet()
    expect(stateOf('d1:do')).toMatchObject({ state: 'held', hold: 'switch' })
    await d.resume(mara, 'go on')
    await quiet()
    expect(calls).toEqual(['d1:do', 'd1:do'])
    expect(stateOf('d1:do')).toMatchObject({ state: 'done' })
    await d.drain()
  })
  test('killed at any point, the action is done once it is started again, and counters do not go back', async () => {
    // Between decision and action:
    await put(decision('d1', action('d1:do')))
    // Asked, not begun:
    const asked = { state: 'asked', askedAt: clock.now(), doneAt: null, attempts: 0, detail: '', hold: null }
    const two = action('d2:do', { subject: 'scout' })
    await put({ ...decision('d2', two), subject: 'scout' })
    await ledger.put(
      'action',
      'd2:do',
      { ...asked, action: two, retryable: false, by: 'x' },
      { by: mara, why: '' },
    )
    const { calls, actuator } = recorder()
    const d = desk(actuator, live())
    await d.start()
    await quiet()
    expect(calls.sort()).toEqual(['d1:do', 'd2:do'])
    await d.record(decision('d1', action('d1:do')), never)
    await quiet()
    await d.drain()
    ledger = await opened()
    const again = desk(actuator, live())
    await again.start()
    await clock.advance(15_000)
    await quiet()
    expect(calls).toHaveLength(2)
    expect(lastValues()).toMatchObject({
      'airboss_decisions_total{kind="rollout", subject="pilot", verdict="rollback"}': 1,
      'airboss_actions_total{kind="rollback", outcome="done"}': 2,
    })
    await again.drain()
  })
  test('a sink that is full loses no decision', async () => {
    const { calls, actuator } = recorder()
    const d = createDecisions({
      ledger,
      table,
      sink: { push: () => Promise.reject(new Error('full')) },
      actuator: guarded(actuator, live()),
      expireAfter: hour,
      clock,
      log,
      metrics,
    })
    await d.start()
    await d.record(decision('d1', action('d1:do')), never)
    await quiet()
    expect(calls).toEqual(['d1:do'])
    await d.drain()
  })
})

describe('webhook', () => {
  let server: Server
  let got: { headers: Record<string, unknown>; body: string }[]
  let answers: [number, string, Record<string, string>?][]
  let url: string
  const http = createHttp()
  beforeEach(async () => {
    got = []
    answers = []
    server = createServer((req, res) => {
      const parts: Buffer[] = []
      req.on('data', (p: Buffer) => parts.push(p))
      req.on('end', () => {
        got.push({ headers: req.headers, body: Buffer.concat(parts).toString() })
        const [status, body, headers] = answers.shift() ?? [200, '{}']
        res.writeHead(status, headers).end(body)
      })
    })
    await new Promise<void>((r) => server.listen(0, '127.0.0.1', r))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  })
  afterEach(() => new Promise((r) => server.close(r)))
  /** Real network, waits cut a thousandfold. */
  const hurried = {
    ...systemClock,
    sleep: (d: number, s?: AbortSignal) => {
      slept.push(d)
      return systemClock.sleep(duration(d / 1000), s)
    },
  }
  let slept: number[]
  const hooks = (more: object = {}): Actuator => {
    slept = []
    const config = actionsSchema({ TOKEN: 'abc' }).parse({
      webhooks: { deploy: { url, secret: 's3cret', headers: { 'X-Token': { env: 'TOKEN' } }, ...more } },
    })
    return createWebhooks({
      webhooks: config.webhooks,
      default: config.default,
      send: http.send,
      decisionOf: () => decision('d1', null),
      clock: hurried,
      log,
      metrics,
      random: () => 1,
    })
  }

  test('a signed POST that says what and why', async () => {
    const outcome = await hooks().act(action('d1:é'), system('rollout'), never)
    expect(outcome).toEqual({ outcome: 'done', detail: 'deploy answered 200' })
    const { headers, body } = got[0]!
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'idempotency-key': 'd1:%C3%A9',
      'x-token': 'abc',
    })
    const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['x-airboss-signature']))!
    expect(v1).toBe(createHmac('sha256', 's3cret').update(`${t}.${body}`).digest('hex'))
    expect(Math.abs(Number(t) - Date.now() / 1000)).toBeLessThan(5)
    expect(JSON.parse(body)).toMatchObject({
      version: '1',
      by: 'system:rollout',
      action: { id: 'd1:é', kind: 'rollback', subject: 'pilot', params: { to: '1.0.0' } },
      decision: { id: 'd1', reason: 'it is worse' },
    })
  })
  test('the signature is the one anybody can compute', () => {
    expect(signature('key', 1700000000, '{}')).toBe(
      `t=1700000000,v1=${createHmac('sha256', 'key').update('1700000000.{}').digest('hex')}`,
    )
  })
  test('5xx and 429 are tried again with the same key and body, as late as the receiver asks', async () => {
    answers = [
      [503, 'busy'],
      [429, '', { 'retry-after': '7' }],
      [500, ''],
    ]
    expect(await hooks().act(action('a'), mara, never)).toMatchObject({ outcome: 'done' })
    expect(got).toHaveLength(4)
    expect(new Set(got.map((g) => g.body)).size).toBe(1)
    expect(new Set(got.map((g) => g.headers['idempotency-key']))).toEqual(new Set(['a']))
    expect(slept).toEqual([1000, 7000, 4000])
  })
  test('4xx is final and says what was answered', async () => {
    answers = [[422, 'no such version']]
    expect(await hooks().act(action('a'), mara, never)).toEqual({
      outcome: 'failed',
      why: 'deploy answered 422: no such version',
      retryable: false,
    })
  })
  test('nobody there: it gives up after its time and may be asked again', async () => {
    const free = createServer()
    await new Promise<void>((r) => free.listen(0, '127.0.0.1', r))
    const { port } = free.address() as AddressInfo
    await new Promise((r) => free.close(r))
    const outcome = await hooks({ url: `http://127.0.0.1:${port}/`, give_up_after: '1500ms' }).act(
      action('a'),
      mara,
      never,
    )
    expect(outcome).toMatchObject({
      outcome: 'failed',
      retryable: true,
      why: expect.stringMatching(/deploy did not take it in 2 attempts over 1s500ms: .*ECONNREFUSED/),
    })
  })
  test('an unknown name names the known ones', async () => {
    expect(await hooks().act(action('a', { actuator: 'k8s' }), mara, never)).toMatchObject({
      outcome: 'failed',
      why: 'no webhook is named "k8s"; actions.webhooks has deploy',
      retryable: false,
    })
  })
  test('an interruption rejects at once', async () => {
    answers = [[503, '']]
    const stop = new AbortController()
    const run = hooks().act(action('a'), mara, AbortSignal.any([stop.signal]))
    while (got.length === 0) await settle()
    stop.abort(new Error('drain'))
    await expect(run).rejects.toThrow()
  })
})

describe('configuration', () => {
  test('defaults are safe', () => {
    expect(actionsSchema({}).parse({})).toMatchObject({ mode: 'dry_run', approvals: [], limit_per_hour: 60 })
  })
  test('mistakes are named', () => {
    const bad = actionsSchema({}).safeParse({ mode: 'on', webhook: {}, default: 'x' })
    const text = JSON.stringify(bad.error?.issues)
    expect(text).toMatch(/dry_run/)
    expect(text).toMatch(/webhook/)
    expect(JSON.stringify(actionsSchema({}).safeParse({ default: 'x' }).error?.issues)).toMatch(
      /no webhook is named/,
    )
    expect(
      JSON.stringify(actionsSchema({}).safeParse({ webhooks: { a: { url: 'ftp://x' } } }).error?.issues),
    ).toMatch(/http or https/)
  })
  test('secrets do not print', () => {
    const config = actionsSchema({}).parse({ webhooks: { a: { url: 'http://x/', secret: 'hush' } } })
    expect(JSON.stringify(config)).not.toContain('hush')
  })
})
