import { beforeEach, describe, expect, test } from 'vitest'
import { AlertRoom } from '../../../test/kit/alert-room.ts'
import { silentLogger } from '../../lib/log.ts'
import { createAlertmanagerApi } from './alertmanager-api.ts'

let room: AlertRoom
let api: ReturnType<typeof createAlertmanagerApi>
const text = 'route: { receiver: r, group_by: [alertname] }\nreceivers: [{ name: r }, { name: other }]\n'
beforeEach(async () => {
  room = await new AlertRoom(text).start()
  const actorOf = () => ({ id: 'token:ci', kind: 'token' }) as const
  api = createAlertmanagerApi({
    alerts: room.alerts,
    clock: room.clock,
    log: silentLogger(),
    actorOf,
    version: '1.2.3',
  })
})
const post = (path: string, body: unknown) =>
  api.request(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) })
// biome-ignore lint/suspicious/noExplicitAny: answers are looked at as they are
const get = async (path: string): Promise<any> => (await api.request(path)).json()

const silence = {
  matchers: [{ name: 'unit', value: 'a|b', isRegex: true }],
  startsAt: '2026-01-01T00:00:00Z',
  endsAt: '2026-01-01T01:00:00+00:00',
  createdBy: 'mara',
  comment: 'why',
}

test('an alert as Prometheus posts it, and as it is given back', async () => {
  const alert = {
    labels: { alertname: 'Hot', unit: 'a' },
    annotations: { summary: 's' },
    startsAt: '2026-01-01T00:00:00.123456789Z',
    endsAt: '2026-01-01T00:04:00+00:00',
    generatorURL: 'http://p/g',
  }
  expect((await post('/api/v2/alerts', [alert])).status).toBe(200)
  const [found] = await get('/api/v2/alerts')
  expect(found).toEqual({
    ...alert,
    startsAt: '2026-01-01T00:00:00.123Z',
    endsAt: '2026-01-01T00:04:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
    fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
    receivers: [{ name: 'r' }],
    status: { state: 'active', silencedBy: [], inhibitedBy: [], mutedBy: [] },
  })
  expect(await get('/api/v2/alerts/groups')).toEqual([
    { labels: { alertname: 'Hot' }, receiver: { name: 'r' }, alerts: [found] },
  ])
})

test('filters', async () => {
  await post(
    '/api/v2/alerts',
    ['a', 'b', 'c'].map((unit) => ({ labels: { alertname: 'Hot', unit } })),
  )
  await post('/api/v2/silences', silence)
  const count = async (query: string) => (await get(`/api/v2/alerts?${query}`)).length
  expect(await count('')).toBe(3)
  expect(await count(`filter=${encodeURIComponent('unit=~"a|c"')}`)).toBe(2)
  expect(await count(`filter=${encodeURIComponent('unit=~"a|c"')}&filter=unit!=c`)).toBe(1)
  expect(await count('silenced=false')).toBe(1)
  expect(await count('active=false')).toBe(2)
  expect(await count('receiver=oth.*')).toBe(0)
  expect(await get('/api/v2/alerts/groups?silenced=false')).toMatchObject([
    { alerts: [{ labels: { unit: 'c' } }] },
  ])
})

test('a silence is made, read, changed, ended; the ledger knows by whom', async () => {
  const { silenceID } = (await (await post('/api/v2/silences', silence)).json()) as { silenceID: string }
  const made = await get(`/api/v2/silence/${silenceID}`)
  expect(made).toMatchObject({
    id: silenceID,
    status: { state: 'active' },
    matchers: [{ isRegex: true, isEqual: true }],
  })
  const longer = { ...made, endsAt: '2026-01-02T00:00:00Z' }
  expect(await (await post('/api/v2/silences', longer)).json()).toEqual({ silenceID })
  const other = { ...longer, matchers: [{ name: 'unit', value: 'z', isRegex: false }] }
  const replaced = (await (await post('/api/v2/silences', other)).json()) as { silenceID: string }
  expect(replaced.silenceID).not.toBe(silenceID)
  expect(await get('/api/v2/silences')).toMatchObject([
    { id: replaced.silenceID, status: { state: 'active' } },
    { id: silenceID, status: { state: 'expired' } },
  ])
  expect((await api.request(`/api/v2/silence/${replaced.silenceID}`, { method: 'DELETE' })).status).toBe(200)
  expect(await get(`/api/v2/silence/${replaced.silenceID}`)).toMatchObject({ status: { state: 'expired' } })
  expect(room.ledger.history({ limit: 9 }).every((v) => v.by === 'token:ci')).toBe(true)
})

describe('errors are JSON strings with a fitting status', () => {
  test.each([
    ['/api/v2/alerts', '{', 400, /not JSON/],
    ['/api/v2/alerts', {}, 400, /array/],
    ['/api/v2/alerts', [{}], 400, /0\.labels/],
    [
      '/api/v2/alerts',
      [{ labels: { a: 'b' }, startsAt: 'today' }],
      400,
      /0\.startsAt: "today" is not a time/,
    ],
    ['/api/v2/silences', { ...silence, matchers: [] }, 400, /at least one matcher/],
    [
      '/api/v2/silences',
      { ...silence, matchers: [{ name: 'a', value: '.*', isRegex: true }] },
      400,
      /empty string/,
    ],
    [
      '/api/v2/silences',
      { ...silence, matchers: [{ name: 'a', value: '(', isRegex: true }] },
      400,
      /regular expression/,
    ],
    ['/api/v2/silences', { ...silence, endsAt: '2025-01-01T00:00:00Z' }, 400, /endsAt/],
    ['/api/v2/silences', { ...silence, comment: '' }, 400, /comment/],
    ['/api/v2/silences', { ...silence, id: 'none' }, 404, /not found/],
  ])('%s %j', async (path, body, status, why) => {
    const answer = await post(path, body)
    expect(answer.status).toBe(status)
    expect(await answer.json()).toMatch(why)
  })
  test('of reads', async () => {
    expect((await api.request('/api/v2/alerts?filter=unit')).status).toBe(400)
    expect((await api.request('/api/v2/alerts?receiver=(')).status).toBe(400)
    expect((await api.request('/api/v2/silence/none')).status).toBe(404)
    expect((await api.request('/api/v2/silence/none', { method: 'DELETE' })).status).toBe(404)
    expect((await post('/api/v2/alerts', 'x'.repeat((16 << 20) + 1))).status).toBe(413)
  })
})

test('status and receivers', async () => {
  expect(await get('/api/v2/receivers')).toEqual([{ name: 'r' }, { name: 'other' }])
  expect(await get('/api/v2/status')).toMatchObject({
    cluster: { status: 'disabled', peers: [] },
    versionInfo: { version: '1.2.3' },
    uptime: '2026-01-01T00:00:00.000Z',
    config: { original: expect.stringContaining('receiver: r') },
  })
})
