import { expect, test } from 'vitest'
import { fingerprint } from '../model/alert.ts'
import { readAlertsConfig } from './config.ts'
import { groupId, groupKey, groupLabels, printLabelSet } from './group.ts'
import { allRoutes, makeRoutes, routesFor } from './route.ts'

const tree = makeRoutes(
  readAlertsConfig(
    `
route:
  receiver: root
  group_by: [alertname]
  group_wait: 10s
  routes:
  - matchers: ['team="a"']
    receiver: a
    continue: true
    group_interval: 1m
    routes:
    - matchers: [severity=~"critical|error"]
      receiver: a-page
      group_by: [alertname, instance]
    - match: { severity: info }
      repeat_interval: 1d
  - match_re: { team: 'a|b' }
    receiver: b
    group_by: ['...']
  - matchers: [team=c]
    receiver: c
receivers: [{ name: root }, { name: a }, { name: a-page }, { name: b }, { name: c }]
`,
    'am.yml',
    { kinds: [], env: {} },
  ).route,
)

const go = (labels: Record<string, string>) => routesFor(tree, labels).map((r) => r.receiver)

test.each([
  [{ team: 'x' }, ['root']],
  [{ team: 'a', severity: 'critical' }, ['a-page', 'b']],
  [{ team: 'a', severity: 'warning' }, ['a', 'b']],
  [{ team: 'a', severity: 'info' }, ['a', 'b']],
  [{ team: 'b' }, ['b']],
  [{ team: 'c' }, ['c']],
  [{}, ['root']],
])('%o goes to %o', (labels, wanted) => expect(go(labels as Record<string, string>)).toEqual(wanted))

test('a child has what its parent has, unless it says otherwise', () => {
  const byId = Object.fromEntries(allRoutes(tree).map((r) => [r.id, r]))
  const page = byId['{}/{team="a"}/0/{severity=~"critical|error"}/0']
  expect(page).toMatchObject({ groupWait: 10_000, groupInterval: 60_000, repeatInterval: 14_400_000 })
  const info = byId['{}/{team="a"}/0/{severity="info"}/1']
  expect(info).toMatchObject({ receiver: 'a', repeatInterval: 86_400_000, groupBy: ['alertname'] })
})

test('group keys are as Alertmanager prints them', () => {
  const [page, all] = routesFor(tree, { team: 'a', severity: 'error' })
  const labels = { alertname: 'Hot', team: 'a', severity: 'error', unit: 'x "1"' }
  expect(groupKey(page!, groupLabels(page!, labels))).toBe(
    '{}/{team="a"}/{severity=~"critical|error"}:{alertname="Hot"}',
  )
  expect(groupKey(all!, groupLabels(all!, labels))).toBe(
    '{}/{team=~"a|b"}:{alertname="Hot", severity="error", team="a", unit="x \\"1\\""}',
  )
  expect(printLabelSet({})).toBe('{}')
})

test('groups of different routes are never one, groups of the same are', () => {
  const [page, all] = routesFor(tree, { team: 'a', severity: 'error' })
  expect(groupId(page!, { alertname: 'x' })).not.toBe(groupId(all!, { alertname: 'x' }))
  expect(groupId(page!, { a: '1', b: '2' })).toBe(groupId(page!, { b: '2', a: '1' }))
  expect(fingerprint({ a: '1', b: '2' })).toMatch(/^[0-9a-f]{16}$/)
})
