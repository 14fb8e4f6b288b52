// Many alerts and a hanging receiver: the pages of the others still go out on the second.
import { expect, test } from 'vitest'
import { AlertRoom } from '../kit/alert-room.ts'

test('five thousand alerts in a hundred groups, one receiver dead: the other is told of every group after the wait', async () => {
  const room = await new AlertRoom(
    'route: { receiver: dead, group_by: [service], group_wait: 1s, group_interval: 10s, routes: [{ receiver: dead, continue: true }, { receiver: ops }] }\n' +
      'receivers: [{ name: dead }, { name: ops }]\n' +
      'inhibit_rules: [{ source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [service] }]\n',
    { answer: (n) => (n.receiver === 'dead' ? new Promise(() => {}) : undefined) },
  ).start()
  const alerts = Array.from({ length: 5000 }, (_, i) =>
    room.alert({ service: `s${i % 100}`, unit: `u${i}`, severity: 'error' }),
  )
  const startedAt = performance.now()
  await room.alerts.push(alerts, new AbortController().signal)
  await room.clock.advance(1000)
  const took = performance.now() - startedAt
  expect(new Set(room.sent.map((n) => n.groupKey)).size).toBe(100)
  expect(
    room.sent.every((n) => n.receiver === 'ops' && n.alerts.length === 50 && n.sentAt === room.now),
  ).toBe(true)
  // A generous bound on a busy machine: seconds here would be seconds before a page.
  expect(took).toBeLessThan(5000)
})
