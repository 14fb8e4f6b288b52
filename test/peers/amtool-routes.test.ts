// Debian's amtool and we read the same configuration: every label set must go to the same receivers, by the same matchers.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readAlertsConfig } from '../../src/alerts/config.ts'
import { makeRoutes, routesFor } from '../../src/alerts/route.ts'

const run = (...args: string[]): string =>
  execFileSync('amtool', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
const found = (() => {
  try {
    run('--version')
    return true
  } catch {
    console.warn('amtool is not installed, its tests are SKIPPED: apt-get install prometheus-alertmanager')
    return false
  }
})()

const text = `
route:
  receiver: root
  routes:
  - matchers: ['a="1"', 'b!~"x.*"']
    receiver: r1
    continue: true
    routes:
    - matchers: ['c=~"^(p|q)$"']
      receiver: r2
      continue: true
    - match_re: { c: 'q|r' }
      receiver: r3
    - match: { c: '' }
      receiver: r4
  - matchers: ['{b="x1", c!=p}']
    receiver: r5
  - matchers: ['a=~".+"']
    routes:
    - matchers: ['d="sp ace, \\" quote"']
      receiver: r6
    - matchers: [b = y, 'a!=3']
      receiver: r7
receivers: [{ name: root }, { name: r1 }, { name: r2 }, { name: r3 }, { name: r4 }, { name: r5 }, { name: r6 }, { name: r7 }]
`

describe.skipIf(!found)('routes', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'routes-')), 'am.yml')
  writeFileSync(file, text)
  const root = makeRoutes(readAlertsConfig(text, file, { kinds: [], env: {} }).route)
  const values = { a: ['', '1', '3'], b: ['', 'x1', 'y'], c: ['', 'p', 'q', 'r'], d: ['', 'sp ace, " quote'] }
  const sets = values.a.flatMap((a) =>
    values.b.flatMap((b) => values.c.flatMap((c) => values.d.map((d) => ({ a, b, c, d })))),
  )
  test(`${sets.length} label sets`, () => {
    for (const set of sets) {
      const labels = Object.fromEntries(Object.entries(set).filter(([, v]) => v !== ''))
      const args = Object.entries(labels).map(([k, v]) => `${k}=${JSON.stringify(v)}`)
      const theirs = run('config', 'routes', 'test', `--config.file=${file}`, ...args).trim()
      expect(
        `${args.join(' ')} → ${routesFor(root, labels)
          .map((r) => r.receiver)
          .join(',')}`,
      ).toBe(`${args.join(' ')} → ${theirs}`)
    }
  })
})
