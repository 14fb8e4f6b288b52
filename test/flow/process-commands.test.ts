// Commands of the product that run and end: what they print, and their exit codes.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { runProduct, startProduct } from '../kit/product.ts'
import { tempDir } from '../kit/temp-dir.ts'

it('migrates a fresh store, then has nothing to do, and leaves one that is running alone', async () => {
  const dir = tempDir()
  const data = join(dir, 'data')
  writeFileSync(join(dir, 'airboss.yaml'), 'rule_files: []\nhost: { enabled: false }\n')
  const migrate = () => runProduct(['migrate', '--data', data, '--config', join(dir, 'airboss.yaml')])
  const first = await migrate()
  expect(first.code).toBe(0)
  expect(first.out).toMatch(/: applied versions 1(, \d+)+\n$/)
  expect(await migrate()).toMatchObject({ code: 0, out: `${data}: the tables are up to date\n` })
  const product = await startProduct({ dir })
  try {
    const third = await migrate()
    expect(third.code).toBe(1)
    expect(third.err).toContain('is in use by another Airboss')
  } finally {
    await product.dispose()
  }
})

it('exits 1 where a rule test fails, 2 where it is called wrongly', async () => {
  const good = await runProduct(['test-rules', 'rules/tests/cost.test.yaml'])
  expect(good).toMatchObject({ code: 0, out: 'rules/tests/cost.test.yaml: 2 tests passed\n' })
  const broken = join(tempDir(), 'b.test.yaml')
  writeFileSync(broken, 'tests: [{ promql_expr_test: [{ expr: "1", eval_time: 1m }] }]')
  const bad = await runProduct(['test-rules', broken])
  expect(bad.code).toBe(1)
  expect(bad.out).toContain(`${broken}: FAILED\n  expr: "1", time: 1m`)
  expect(await runProduct(['test-rules'])).toMatchObject({ code: 2 })
  const unknown = await runProduct(['fly'])
  expect(unknown.code).toBe(2)
  expect(unknown.err).toContain('no command "fly"')
})
