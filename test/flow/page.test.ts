// Stories of a page: from a firing alert to a person who answers, through kills, outages and silences.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { settle } from '../kit/clock.ts'
import { type FakePagerduty, startFakePagerduty } from '../kit/fake-pagerduty.ts'
import { PageHouse, startHook } from '../kit/page-house.ts'
import { until } from '../kit/until.ts'

let pagerduty: FakePagerduty
let hook: Awaited<ReturnType<typeof startHook>>
let house: PageHouse
const min = 60_000

beforeEach(async () => {
  pagerduty = await startFakePagerduty()
  hook = await startHook()
})
afterEach(async () => {
  hook.close()
  await pagerduty.close()
  await house.close()
})

const both = () => `
global: { pagerduty_url: '${pagerduty.url}' }
route: { receiver: both, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h }
receivers:
- name: both
  pagerduty_configs: [{ routing_key: 0123456789abcdef0123456789abcdef }]
  webhook_configs: [{ url: '${hook.url}/hook' }]
`
const people = () => ({
  alertmanager: `
route: { receiver: people, group_by: [alertname], group_wait: 0s, group_interval: 1m, repeat_interval: 10h }
receivers: [{ name: people, oncall_configs: [{ policy: day }] }]
`,
  oncall: `
users:
  mara: { notify: [{ webhook: '${hook.url}/mara' }] }
  noor: { notify: [{ webhook: '${hook.url}/noor' }] }
policies:
  day: { repeat: 1, steps: [{ users: [mara] }, { after: 5m, users: [noor] }] }
public_url: https://ops.example/
`,
})
const begin = async (texts: { alertmanager: string; oncall: string }): Promise<void> => {
  house = await new PageHouse(texts).start()
}
/** Lets what is on its way over real HTTP arrive, while the clock stands. */
const quiet = async (): Promise<void> => {
  await new Promise((r) => setTimeout(r, 40))
  await settle()
}
const go = async (by: number): Promise<void> => {
  await house.clock.advance(by)
  await quiet()
}
const calls = () =>
  hook.calls.map((c) => `${c.path} ${c.body.status} ${c.body.escalation?.step ?? ''}`.trim())

describe('a receiver', () => {
  test('PagerDuty and a webhook are told once after the wait, and both of the end', async () => {
    await begin({ alertmanager: both(), oncall: '' })
    await house.fire({ unit: 'a' })
    await go(999)
    expect(pagerduty.attempts() + hook.calls.length).toBe(0)
    await go(1)
    await until('the page', () => pagerduty.events.length === 1 && hook.calls.length === 1)
    await go(30_000)
    await house.fire({ unit: 'a' }, false)
    await go(2000)
    await until('the end', () => pagerduty.events.length === 2 && hook.calls.length === 2)
    expect(pagerduty.alerts.map((a) => a.state)).toEqual(['resolved'])
    expect(calls()).toEqual(['/hook firing', '/hook resolved'])
    expect(pagerduty.refused).toEqual([])
    await go(3_600_000)
    expect(pagerduty.attempts()).toBe(2)
  })

  test('a webhook that hangs does not hold PagerDuty up', async () => {
    await begin({ alertmanager: both(), oncall: '' })
    hook.behave.hang = true
    await house.fire({ unit: 'a' })
    await go(1000)
    await until('the page', () => pagerduty.events.length === 1)
    await house.fire({ unit: 'a' }, false)
    await go(2000)
    await until('the end', () => pagerduty.events.length === 2)
  })

  test('PagerDuty away for an hour: told when it is back, once', async () => {
    await begin({ alertmanager: both(), oncall: '' })
    for (let i = 0; i < 40; i++) pagerduty.next.push({ status: 503 })
    await house.fire({ unit: 'a' })
    await go(1000)
    for (let i = 0; i < 10; i++) await go(3000)
    expect(pagerduty.attempts()).toBeGreaterThan(3)
    pagerduty.next.length = 0
    for (let i = 0; i < 30 && pagerduty.events.length === 0; i++) await go(2000)
    await go(20_000)
    expect(pagerduty.events.map((e) => e.event_action)).toEqual(['trigger'])
  })

  test('killed after the page, the restart neither repeats it nor forgets its end', async () => {
    await begin({ alertmanager: both(), oncall: '' })
    await house.fire({ unit: 'a' })
    await go(1000)
    await until('the page', () => pagerduty.events.length === 1 && hook.calls.length === 1)
    await quiet()
    await house.kill(30_000)
    await go(20_000)
    expect(pagerduty.attempts()).toBe(1)
    await house.fire({ unit: 'a' }, false)
    await go(2000)
    await until('the end', () => pagerduty.events.length === 2)
    expect(pagerduty.alerts.map((a) => a.state)).toEqual(['resolved'])
  })
})

describe('an escalation', () => {
  test('pages the first, then the second, again, then is quiet; all are told of the end', async () => {
    await begin(people())
    await house.fire({})
    await go(0)
    await until('the first page', () => hook.calls.length === 1)
    expect(hook.calls[0]!.body).toMatchObject({
      version: '4',
      user: 'mara',
      escalation: { policy: 'day', step: 1 },
    })
    await go(5 * min - 1)
    expect(hook.calls).toHaveLength(1)
    await go(1)
    await until('the second page', () => hook.calls.length === 2)
    await go(60 * min)
    await go(60 * min)
    expect(calls()).toEqual(['/mara firing 1', '/noor firing 2', '/mara firing 1', '/noor firing 2'])
    await house.fire({}, false)
    await go(min)
    await until('the end', () => hook.calls.length === 6)
    expect(calls().slice(4).sort()).toEqual(['/mara resolved 1', '/noor resolved 2'])
    expect(house.oncall.open()).toEqual([])
    await go(60 * min)
    expect(hook.calls).toHaveLength(6)
  })

  test('acknowledged by link: looking does nothing, the button does, then it is quiet', async () => {
    await begin(people())
    await house.fire({})
    await go(0)
    await until('the page', () => hook.calls.length === 1)
    const url = new URL(hook.calls[0]!.body.ack_url)
    expect(url.origin).toBe('https://ops.example')
    const look = await house.api.request(url.pathname)
    expect(look.status).toBe(200)
    expect(await look.text()).toContain('<button type="submit">Acknowledge')
    expect(house.oncall.open()[0]!.status).toBe('open')
    const press = await house.api.request(url.pathname, { method: 'POST' })
    expect(await press.text()).toContain('Acknowledged by user:mara')
    await go(10 * min)
    await go(60 * min)
    expect(hook.calls).toHaveLength(1)
    await house.fire({ unit: 'another' })
    await go(min)
    expect(hook.calls).toHaveLength(1)
    const forged = `${url.pathname.slice(0, -4)}AAAA`
    expect((await house.api.request(forged, { method: 'POST' })).status).toBe(403)
    await go(24 * 60 * min)
    expect((await house.api.request(url.pathname)).status).toBe(403)
  })

  test('acknowledged by the API', async () => {
    await begin(people())
    await house.fire({})
    await go(0)
    await until('the page', () => hook.calls.length === 1)
    const answer = await house.api.request('/api/ops/v1/escalations?open=true')
    const list = (await answer.json()) as { escalations: { id: string }[] }
    const path = `/api/ops/v1/escalations/${list.escalations[0]!.id}/acknowledge`
    expect(await (await house.api.request(path, { method: 'POST' })).json()).toMatchObject({
      acknowledgedBy: 'user:test',
    })
    await go(30 * min)
    expect(hook.calls).toHaveLength(1)
    expect(
      (await house.api.request('/api/ops/v1/escalations/none/acknowledge', { method: 'POST' })).status,
    ).toBe(404)
  })

  test('killed between two steps: the second comes in time, the first is not repeated', async () => {
    await begin(people())
    await house.fire({})
    await go(0)
    await until('the first page', () => house.oncall.open()[0]?.pages[0]?.state === 'sent')
    await go(3 * min)
    await house.kill(min)
    await go(min - 1)
    expect(calls()).toEqual(['/mara firing 1'])
    await go(1)
    await until('the second page', () => hook.calls.length === 2)
    await house.kill(2 * min)
    await go(0)
    expect(calls()).toEqual(['/mara firing 1', '/noor firing 2'])
  })

  test('killed over the time of a step: it is done at the start', async () => {
    await begin(people())
    await house.fire({})
    await go(0)
    await until('the first page', () => house.oncall.open()[0]?.pages[0]?.state === 'sent')
    await house.kill(30 * min)
    await go(0)
    await until('the second page', () => hook.calls.length === 2)
    expect(calls()).toEqual(['/mara firing 1', '/noor firing 2'])
  })

  test('killed while a page hangs: it is sent again under the same id', async () => {
    await begin(people())
    hook.behave.hang = true
    await house.fire({})
    await go(0)
    await until('the page', () => hook.calls.length === 1)
    hook.behave.hang = false
    await house.kill()
    await go(0)
    await until('the page again', () => hook.calls.length === 2)
    expect(hook.calls[0]!.body.page_id).toBe(hook.calls[1]!.body.page_id)
    await until('the record', () => house.oncall.open()[0]!.pages[0]!.state === 'sent')
    await house.kill()
    await quiet()
    expect(hook.calls).toHaveLength(2)
  })

  test('an acknowledgement survives a kill', async () => {
    await begin(people())
    await house.fire({})
    await go(0)
    await until('the page', () => hook.calls.length === 1)
    await house.oncall.acknowledge(house.oncall.open()[0]!.id, { id: 'user:x', kind: 'user' })
    await house.kill(10 * min)
    await go(60 * min)
    expect(hook.calls).toHaveLength(1)
    expect(house.oncall.open()[0]).toMatchObject({ status: 'acknowledged', acknowledgedBy: 'user:x' })
  })
})
