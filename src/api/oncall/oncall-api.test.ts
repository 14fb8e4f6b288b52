import { expect, test } from 'vitest'
import { silentLogger } from '../../lib/log.ts'
import { instant } from '../../lib/time.ts'
import type { Escalation, OnCall } from '../../model/ports/on-call.ts'
import { createOncallApi } from './oncall-api.ts'

const escalation = {
  id: 'e',
  policy: 'night',
  groupKey: 'k',
  status: 'open',
  startedAt: instant(0),
  nextAt: null,
  pages: [],
  acknowledgedBy: null,
  acknowledgedAt: null,
  endedAt: null,
  notification: {
    groupLabels: { alertname: '<script>alert(1)</script>' },
    commonLabels: {},
    commonAnnotations: {},
    alerts: [{ labels: { unit: '"><img src=x onerror=1>' }, annotations: { summary: '<b>hot</b>' } }],
  },
} as unknown as Escalation
const acknowledged: string[] = []
const oncall: OnCall = {
  open: () => [escalation],
  all: () => [escalation],
  acknowledge: async (id, by) => {
    acknowledged.push(`${id} ${by.id}`)
    return { ...escalation, status: 'acknowledged', acknowledgedBy: by.id }
  },
  resolve: async () => escalation,
  verifyLink: () => ({ escalation, user: 'mara' }),
}
const app = createOncallApi({
  oncall,
  log: silentLogger(),
  actorOf: () => ({ id: 'token:x', kind: 'token' }),
})

test('looking acknowledges nothing; the page lets its own button through and nothing of its alerts run', async () => {
  const answer = await app.request('/oncall/ack/t')
  const text = await answer.text()
  expect(acknowledged).toEqual([])
  expect(text).not.toMatch(/<script|<img|<b>hot/)
  // `no-referrer` makes browsers send the form with `Origin: null`, which every port turns away.
  expect(answer.headers.get('referrer-policy')).toBe('same-origin')
  expect(text).toContain('name="referrer" content="same-origin"')
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(answer.headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/)
})

test('the button acknowledges as the user of the link', async () => {
  const answer = await app.request('/oncall/ack/t', { method: 'POST' })
  expect(await answer.text()).toContain('Acknowledged by user:mara')
  expect(acknowledged).toEqual(['e user:mara'])
})
