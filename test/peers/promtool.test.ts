// The shipped rule packs under Prometheus's own checker and test runner.
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { parse } from 'yaml'

const folder = fileURLToPath(new URL('../../rules/', import.meta.url))
const packs = readdirSync(folder).filter((f) => f.endsWith('.yaml'))
const tests = readdirSync(`${folder}tests`).filter((f) => f.endsWith('.test.yaml'))
const there = spawnSync('promtool', ['--version']).status === 0
if (!there)
  process.stderr.write('SKIPPED: promtool is not on PATH; install prometheus to check rules/ with it\n')

it('has a test file for every pack, and a severity and texts on every alert', () => {
  expect(tests.map((t) => t.replace('.test.yaml', '.yaml')).sort()).toEqual(packs.sort())
  interface Pack {
    groups: {
      rules: { alert?: string; labels?: Record<string, string>; annotations?: Record<string, string> }[]
    }[]
  }
  for (const pack of packs) {
    const { groups } = parse(readFileSync(folder + pack, 'utf8')) as Pack
    for (const rule of groups.flatMap((g) => g.rules).filter((r) => r.alert)) {
      expect(['critical', 'warning', 'info'], rule.alert).toContain(rule.labels?.['severity'])
      expect(rule.annotations?.['summary'], rule.alert).toBeTruthy()
      expect(rule.annotations?.['description'], rule.alert).toMatch(/\$value/)
    }
  }
})

it.skipIf(!there)('promtool check rules', () => {
  const out = execFileSync('promtool', ['check', 'rules', ...packs.map((p) => folder + p)], {
    encoding: 'utf8',
  })
  expect(out.match(/SUCCESS/g)).toHaveLength(packs.length)
})

it.skipIf(!there)('promtool test rules', () => {
  const run = spawnSync('promtool', ['test', 'rules', ...tests.map((t) => `${folder}tests/${t}`)], {
    encoding: 'utf8',
  })
  expect(run.stderr + run.stdout).not.toContain('FAILED')
  expect(run.status).toBe(0)
})
