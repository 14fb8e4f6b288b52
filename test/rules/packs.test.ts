// The shipped rule packs under our own rule machinery and query language: what `airboss test-rules` says of them.
import { globSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { testRules, testRulesCommand } from '../../src/app/test-rules.ts'
import { tempDir } from '../kit/temp-dir.ts'

const root = resolve(import.meta.dirname, '../..')
const files = globSync(join(root, 'rules/tests/*.test.yaml')).sort()

it('finds a test file for every pack', () => {
  const packs = globSync(join(root, 'rules/*.yaml'))
  expect(files).toHaveLength(packs.length)
  expect(files.length).toBeGreaterThanOrEqual(5)
})

it.each(files)('%s', async (file) => {
  const [result] = await testRules([file])
  expect(result!.failures).toEqual([])
  expect(result!.tests).toBeGreaterThan(0)
})

it('fails a file that expects something else, and says which', async () => {
  const dir = tempDir()
  const broken = join(dir, 'broken.test.yaml')
  const rules = 'groups: [{ name: g, rules: [{ alert: Hot, expr: heat > 90 }] }]'
  writeFileSync(join(dir, 'rules.yaml'), rules)
  const test = `
rule_files: ['*s.yaml']
tests:
  - name: it is hot
    input_series: [{ series: heat, values: 95x10 }]
    alert_rule_test: [{ eval_time: 5m, alertname: Hot }]
`
  writeFileSync(broken, test)
  const lines: string[] = []
  expect(await testRulesCommand([broken, files[0]!], (line) => lines.push(line))).toBe(1)
  expect(lines[0]).toBe(`${broken}: FAILED`)
  expect(lines[1]).toContain('it is hot: alertname: Hot, time: 5m')
  expect(lines.at(-1)).toMatch(/agents\.test\.yaml: \d+ tests passed/)

  writeFileSync(broken, test.replace('*s.yaml', 'no*.yaml'))
  const [none] = await testRules([broken])
  expect(none!.failures).toEqual([
    expect.stringContaining('no rule file matches no*.yaml; correct rule_files'),
  ])
})

it('wants files', async () => {
  await expect(testRulesCommand([], () => {})).rejects.toMatchObject({ code: 'bad_data' })
  await expect(testRulesCommand(['nowhere.yaml'], () => {})).rejects.toThrow(/nowhere\.yaml: ENOENT/)
})
